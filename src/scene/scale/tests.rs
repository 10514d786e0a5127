//! Scaling: what is made of the damage is what is made of all, and every slot shows the canvas.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in small pictures"
)]

use proptest::prelude::*;

use super::*;
use crate::frame::Geometry;

fn size(w: u32, h: u32) -> Size {
    Size::new(w, h).unwrap()
}

fn pool(size: Size, slots: u32) -> Pool {
    Pool::new(Geometry::new(size, PixelFormat::I420), slots).unwrap()
}

/// A picture of noise, also in what lies between its rows.
fn noise(pool: &Pool, seed: u64) -> Frame {
    let mut frame = pool.take().unwrap();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for plane in frame.planes_mut() {
        for byte in plane.data.iter_mut() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[3];
        }
    }
    frame
}

/// The same with noise of another seed in `rect`.
fn changed(pool: &Pool, seed: u64, rect: Rect) -> Frame {
    let (mut frame, other) = (noise(pool, seed), noise(pool, seed + 1));
    for (index, plane) in frame.planes_mut().into_iter().enumerate() {
        let part = |at: i32| usize::try_from(at).unwrap() >> index.min(1);
        for y in part(rect.y)..part(rect.y + rect.h) {
            let span = y * plane.stride + part(rect.x)..y * plane.stride + part(rect.x + rect.w);
            plane.data[span.clone()].copy_from_slice(&other.plane(index)[span]);
        }
    }
    frame
}

/// The pixels alone.
fn pixels(frame: &FrozenFrame) -> Vec<Vec<u8>> {
    let planes = frame.geometry().planes().iter().enumerate();
    let rows = planes.flat_map(|(index, plane)| {
        frame.plane(index).chunks(plane.stride).map(|row| row[..plane.width].to_vec())
    });
    rows.collect()
}

fn scaled(canvas: &FrozenFrame, to: Size, level: Level) -> Vec<Vec<u8>> {
    let mut scaler = Scaler::new(canvas.geometry().size(), to, level);
    scaler.change(&Damage::whole(canvas.geometry().size()));
    pixels(&scaler.scale(canvas, &pool(to, 1)).unwrap())
}

#[test]
fn each_sample_is_the_mean_of_what_it_covers() {
    for (from, to) in [
        (size(96, 64), size(48, 32)),
        (size(642, 362), size(318, 178)),
        (size(130, 34), size(130, 18)),
        (size(130, 34), size(34, 34)),
        (size(640, 360), size(426, 240)),
        (size(448, 224), size(64, 32)),
    ] {
        let canvas = noise(&pool(from, 1), 3).freeze();
        let made = scaled(&canvas, to, Level::best());
        let mut made = made.iter();
        for (index, plane) in canvas.geometry().planes().iter().enumerate() {
            let part = if index == 0 { 1 } else { 2 };
            let (w, h) = (to.width() as usize / part, to.height() as usize / part);
            let (rx, ry) = (plane.width as f64 / w as f64, plane.rows as f64 / h as f64);
            let overlap = |at: usize, n: usize, ratio: f64| {
                let (begin, end) = (n as f64 * ratio, (n + 1) as f64 * ratio);
                (end.min((at + 1) as f64) - begin.max(at as f64)).max(0.0) / ratio
            };
            for y in 0..h {
                let row = made.next().unwrap();
                for (x, sample) in row.iter().enumerate() {
                    let mut exact = 0.0;
                    for sy in (y as f64 * ry) as usize
                        ..(((y + 1) as f64 * ry).ceil() as usize).min(plane.rows)
                    {
                        for sx in (x as f64 * rx) as usize
                            ..(((x + 1) as f64 * rx).ceil() as usize).min(plane.width)
                        {
                            exact += f64::from(canvas.plane(index)[sy * plane.stride + sx])
                                * overlap(sx, x, rx)
                                * overlap(sy, y, ry);
                        }
                    }
                    // Two roundings, and the weights are in parts of 256.
                    assert!(
                        (f64::from(*sample) - exact).abs() < 2.5,
                        "{from} {to} {index} {x} {y}"
                    );
                }
            }
        }
        assert!(made.next().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn only_what_changed_is_made_anew_and_it_is_as_if_all_were(
        w in 40_u32..200, h in 20_u32..80, rx in 10_u32..70, ry in 10_u32..70,
        x in 0.0..1.0, y in 0.0..1.0, side in 0.0..0.5,
    ) {
        let from = size(2 * w, 2 * h);
        let shrink = |side: u32, percent: u32| (side * 2 * percent.max(20) / 100).max(16) & !1;
        let to = size(shrink(w, rx), shrink(h, ry));
        prop_assume!(Scaler::can_scale(from, to));
        let at = |side: u32, part: f64| (f64::from(side) * part) as i32 * 2;
        let rect = Rect { x: at(w, x), y: at(h, y), w: at(w, side) + 2, h: at(h, side) + 2 };
        let rect = rect.intersect(from.rect());
        let canvases = pool(from, 4);
        let first = noise(&canvases, 7).freeze();
        let second = changed(&canvases, 7, rect).freeze();
        let (small, mut scaler) = (pool(to, 1), Scaler::new(from, to, Level::best()));
        scaler.change(&Damage::whole(from));
        drop(scaler.scale(&first, &small));
        scaler.last = None; // its slot is drawn into again
        let mut damage = Damage::none(from.rect());
        damage.add(rect);
        scaler.change(&damage);
        let made = scaler.scale(&second, &small).unwrap();
        prop_assert_eq!(pixels(&made), scaled(&second, to, Level::Scalar));
    }
}

#[test]
fn what_does_not_change_is_given_again_and_a_slot_that_was_away_catches_up() {
    let (from, to) = (size(128, 64), size(64, 32));
    let (canvases, small) = (pool(from, 8), pool(to, 2));
    let mut scaler = Scaler::new(from, to, Level::best());
    scaler.change(&Damage::whole(from));
    let canvas = noise(&canvases, 1).freeze();
    let one = scaler.scale(&canvas, &small).unwrap();
    scaler.change(&Damage::none(from.rect()));
    let same = scaler.scale(&canvas, &small).unwrap();
    assert_eq!((same.plane(0).as_ptr(), small.in_use()), (one.plane(0).as_ptr(), 1));
    drop(same);

    // Two slots in turn, each two changes behind when it is drawn into again.
    let mut shown = one;
    for step in 0..6 {
        let rect = Rect { x: step * 16, y: step * 4, w: 10, h: 6 };
        let canvas = changed(&canvases, 1, rect).freeze();
        let mut damage = Damage::none(from.rect());
        damage.add(rect);
        if step > 0 {
            damage.add(Rect { x: (step - 1) * 16, y: (step - 1) * 4, w: 10, h: 6 });
        }
        scaler.change(&damage);
        let next = scaler.scale(&canvas, &small).unwrap();
        assert_eq!(pixels(&next), scaled(&canvas, to, Level::Scalar), "{step}");
        shown = next;
    }
    let held = shown;
    scaler.change(&Damage::whole(from));
    let other = scaler.scale(&noise(&canvases, 5).freeze(), &small).unwrap();
    scaler.change(&Damage::whole(from));
    let last = noise(&canvases, 9).freeze();
    assert!(scaler.scale(&last, &small).is_none(), "both slots are in use");
    drop((held, other));
    let made = scaler.scale(&last, &small).unwrap();
    assert_eq!(pixels(&made), scaled(&last, to, Level::Scalar), "and what changed is not lost");
}

#[test]
fn sizes_that_grow_or_shrink_by_more_than_the_limit_are_not_scaled() {
    let canvas = size(1_920, 1_080);
    for (w, h, can) in [
        (1_920, 1_080, true),
        (640, 1_080, true),
        (276, 156, true),
        (272, 156, false),
        (276, 150, false),
        (1_922, 1_080, false),
    ] {
        assert_eq!(Scaler::can_scale(canvas, size(w, h)), can, "{w}x{h}");
    }
}
