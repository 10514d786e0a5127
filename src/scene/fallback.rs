//! Font fallback: which of several fonts draws each cluster of a text, by what they have.

use std::collections::{BTreeMap, HashSet};

use cosmic_text::fontdb::{Database, FaceInfo, ID, Source, Stretch, Style};
use icu_properties::CodePointSetData;
use icu_properties::props::{DefaultIgnorableCodePoint, EmojiPresentation};
use ttf_parser::{Face, GlyphId, Tag};
use unicode_segmentation::UnicodeSegmentation;

/// Most families of the machine that are looked into for one text.
const FAMILIES_MAX: usize = 4_096;

/// Most of them that one text gets.
const FOUND_MAX: usize = 8;

/// Longest side of a coloured letter's picture in a font, pixels. A font with a larger one is
/// refused.
const PICTURE_SIDE_MAX: u32 = 1_024;

/// What asks for a letter in colours, and in one colour.
const EMOJI_SELECTOR: char = '\u{fe0f}';
const TEXT_SELECTOR: char = '\u{fe0e}';

/// Clusters: what a reader sees as one letter, however many characters it is made of; each with the
/// byte at which it begins.
pub(super) fn clusters(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.grapheme_indices(true)
}

/// The clusters that leave a mark, each once, in the order in which they come.
pub(super) fn marks(text: &str) -> Vec<&str> {
    let mut known = HashSet::new();
    let clusters = clusters(text).map(|(_, cluster)| cluster);
    clusters.filter(|it| it.chars().any(is_mark) && known.insert(*it)).collect()
}

/// Whether a cluster is to be in colours where a font has it so.
pub(super) fn wants_color(cluster: &str) -> bool {
    let presented = CodePointSetData::new::<EmojiPresentation>();
    match cluster {
        _ if cluster.contains(EMOJI_SELECTOR) => true,
        _ if cluster.contains(TEXT_SELECTOR) => false,
        _ => cluster.chars().any(|c| presented.contains(c)),
    }
}

/// Whether a font needs a glyph for a character.
fn is_mark(c: char) -> bool {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    !c.is_whitespace() && !c.is_control() && !ignorable.contains(c)
}

/// What a font has of some clusters.
#[derive(Debug)]
pub(super) struct Coverage {
    /// Whether its letters have colours of their own.
    pub(super) is_color: bool,
    /// For each cluster whether it has all of it.
    pub(super) has: Vec<bool>,
}

impl Coverage {
    /// Of a face in `fonts`; what is wrong with it if it cannot be used.
    pub(super) fn of(fonts: &Database, id: ID, clusters: &[&str]) -> Result<Self, String> {
        let read = |data: &[u8], index: u32| {
            let face = Face::parse(data, index).map_err(|error| error.to_string())?;
            let is_color = check_colors(&face)?;
            let has_letter = |c| face.glyph_index(c).is_some_and(|glyph| glyph.0 != 0);
            let has_all = |it: &&str| it.chars().filter(|c| is_mark(*c)).all(has_letter);
            Ok(Self { is_color, has: clusters.iter().map(has_all).collect() })
        };
        fonts.with_face_data(id, read).unwrap_or_else(|| Err("it cannot be read".to_owned()))
    }
}

/// Whether a font has letters in colours, if it can be drawn.
fn check_colors(face: &Face<'_>) -> Result<bool, String> {
    let tables = face.tables();
    let has_pictures = tables.cbdt.is_some() || tables.sbix.is_some();
    // Version 1 may hold letters of version 0 as well, whose number follows the version.
    let table = face.raw_face().table(Tag::from_bytes(b"COLR"));
    let has_layers = table.map(|it| it.get(2..4).is_some_and(|count| count != [0, 0]));
    if has_layers == Some(false) && !has_pictures {
        return Err(
            "its colours are of COLR version 1, which is not drawn; take a font with COLR \
                    version 0, CBDT or sbix"
                .to_owned(),
        );
    }
    if has_pictures && (0..face.number_of_glyphs()).any(|it| has_large_picture(face, GlyphId(it))) {
        return Err(format!(
            "a letter in it is a picture above {PICTURE_SIDE_MAX} pixels; take another font"
        ));
    }
    Ok(has_pictures || has_layers == Some(true))
}

/// Whether a letter has a picture that is too large, going by the head of its PNG.
fn has_large_picture(face: &Face<'_>, glyph: GlyphId) -> bool {
    let tables = face.tables();
    let strikes = tables.sbix.iter().flat_map(|table| table.strikes);
    let of_strikes = strikes.filter_map(|strike| strike.get(glyph));
    // The smallest pictures and the largest.
    let of_sizes = tables.cbdt.iter().flat_map(|it| [1, u16::MAX].map(|size| it.get(glyph, size)));
    of_strikes.chain(of_sizes.flatten()).any(|picture| {
        let side = |at| {
            picture.data.get(at..at + 4).map(|it| it.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
        };
        let sides = [16, 20].map(|at| side(at).unwrap_or(0));
        let is_png = picture.data.starts_with(b"\x89PNG");
        let stated = u32::from(picture.width).max(u32::from(picture.height));
        stated > PICTURE_SIDE_MAX || is_png && sides.iter().any(|it| *it > PICTURE_SIDE_MAX)
    })
}

/// The fonts of a machine that have what others lack: those that have the most of it first, among
/// equals by their names, so that the same fonts give the same text on any machine.
pub(super) fn found(machine: &Database, clusters: &[&str], weight: u16) -> Vec<ID> {
    let wanted: Vec<_> = clusters.iter().map(|it| wants_color(it)).collect();
    let mut able: Vec<_> = candidates(machine, weight)
        .into_iter()
        .filter_map(|id| Some((id, Coverage::of(machine, id, clusters).ok()?)))
        .collect();
    // A letter in the wrong kind of colours is for those that no other font has.
    for (at, wants) in wanted.iter().enumerate() {
        if able.iter().any(|(_, font)| font.has[at] && font.is_color == *wants) {
            able.iter_mut()
                .filter(|it| it.1.is_color != *wants)
                .for_each(|it| it.1.has[at] = false);
        }
    }
    let mut missing: Vec<_> = (0..clusters.len()).collect();
    let mut found = Vec::new();
    while found.len() < FOUND_MAX {
        let count = |font: &Coverage| missing.iter().filter(|at| font.has[**at]).count();
        let most = able.iter().rev().max_by_key(|(_, font)| count(font));
        let Some((id, font)) = most.filter(|(_, font)| count(font) > 0) else { break };
        found.push(*id);
        missing.retain(|at| !font.has[*at]);
    }
    found
}

/// The upright face of each family that is nearest to a weight; what is usual in texts first.
fn candidates(machine: &Database, weight: u16) -> Vec<ID> {
    let mut families = BTreeMap::new();
    for face in machine.faces().filter(|face| face.style == Style::Normal) {
        let Some((family, _)) = face.families.first() else { continue };
        let key = (face.stretch != Stretch::Normal, face.monospaced, family.to_lowercase());
        let rank = (face.weight.0.abs_diff(weight), face.weight, place(face), face.index);
        let best = families.entry(key).or_insert_with(|| (rank.clone(), face.id));
        if rank < best.0 {
            *best = (rank, face.id);
        }
    }
    families.into_values().take(FAMILIES_MAX).map(|(_, id)| id).collect()
}

/// What sets apart faces that are called the same.
fn place(face: &FaceInfo) -> String {
    match &face.source {
        Source::File(path) | Source::SharedFile(path, _) => path.display().to_string(),
        Source::Binary(_) => face.post_script_name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(names: &[&str]) -> Database {
        let mut fonts = Database::new();
        for name in names {
            fonts.load_font_file(format!("examples/fonts/Noto{name}.ttf")).unwrap();
        }
        fonts
    }

    fn families(machine: &Database, text: &str) -> Vec<String> {
        let ids = found(machine, &marks(text), 400);
        ids.into_iter().map(|id| machine.face(id).unwrap().families[0].0.clone()).collect()
    }

    #[test]
    fn the_fonts_that_have_the_most_are_taken_whatever_order_they_are_found_in() {
        let names = ["ColorEmoji", "SansArabic", "SansDevanagari", "SansHebrew", "SansThai"];
        let text = "\u{e01}\u{e02}\u{e03} \u{5d0}\u{5d1} \u{1f600}";
        let taken = families(&machine(&names), text);
        assert_eq!(taken, ["Noto Sans Thai", "Noto Sans Hebrew", "Noto Color Emoji"]);
        let mut turned = names;
        turned.reverse();
        assert_eq!(families(&machine(&turned), text), taken);
        assert_eq!(families(&machine(&names), "\u{378}"), [""; 0], "no font has it");
    }

    #[test]
    fn a_cluster_is_wanted_in_colours_as_unicode_says() {
        let in_colors =
            ["\u{1f600}", "\u{1f1fa}\u{1f1e6}", "\u{2764}\u{fe0f}", "1\u{fe0f}\u{20e3}"];
        assert!(in_colors.into_iter().all(wants_color));
        assert!(!["a", "1", "\u{2764}", "\u{1f600}\u{fe0e}"].into_iter().any(wants_color));
    }

    #[test]
    fn each_cluster_is_one_however_many_characters_it_has() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let flag = "\u{1f1fa}\u{1f1e6}";
        assert_eq!(marks(&format!("e\u{301}{family} {flag}\n{flag}")), ["e\u{301}", family, flag]);
    }

    #[test]
    fn a_font_without_all_of_a_cluster_does_not_have_it() {
        let fonts = machine(&["SansThai"]);
        let id = fonts.faces().next().unwrap().id;
        let coverage = Coverage::of(&fonts, id, &["\u{e01}", "\u{e01}\u{301}", "a"]).unwrap();
        assert_eq!((coverage.is_color, coverage.has), (false, vec![true, false, false]));
    }

    #[test]
    fn fonts_that_cannot_be_drawn_are_refused_with_what_to_take() {
        let mut wide = std::fs::read("examples/fonts/NotoColorEmoji.ttf").unwrap();
        // A picture that says that it is 65536 pixels wide.
        let head = wide.windows(8).position(|it| it == b"\x89PNG\r\n\x1a\n").unwrap();
        wide[head + 16..head + 20].copy_from_slice(&65_536_u32.to_be_bytes());
        let mut fonts = Database::new();
        fonts.load_font_data(wide);
        let id = fonts.faces().next().unwrap().id;
        let fault = Coverage::of(&fonts, id, &[]).unwrap_err();
        assert!(fault.contains("above 1024 pixels"), "{fault}");
    }
}
