//! Speeds of a running libx264: of each preset, the fields that can be changed between pictures.

use std::ffi::{c_int, c_uint};

use super::params::{Params, of_preset};
use crate::encode::{Error, Speed, VideoSpec};

/// Presets between which a running encoder can go, fastest first, and what their changeable fields
/// cost with a lookahead (`cargo bench --bench x264`; up to a third more without). Not among them
/// are ultrafast, whose sub-pixel refinement of 0 can be neither entered nor left, and placebo, for
/// the same reason of its exhaustive search.
const SPEEDS: [Speed; 8] = [
    Speed { preset: "superfast", cost: 100 },
    Speed { preset: "veryfast", cost: 131 },
    Speed { preset: "faster", cost: 249 },
    Speed { preset: "fast", cost: 335 },
    Speed { preset: "medium", cost: 387 },
    Speed { preset: "slow", cost: 679 },
    Speed { preset: "slower", cost: 948 },
    Speed { preset: "veryslow", cost: 1_895 },
];

/// What is changed between two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fields {
    references: c_int,
    intra: c_uint,
    inter: c_uint,
    direct: c_int,
    me_method: c_int,
    me_range: c_int,
    subme: c_int,
    trellis: c_int,
    chroma_me: c_int,
    mixed_references: c_int,
    fast_pskip: c_int,
    dct_decimate: c_int,
}

impl Fields {
    const fn of(params: &Params) -> Self {
        let analyse = &params.analyse;
        Self {
            references: params.i_frame_reference,
            intra: analyse.intra,
            inter: analyse.inter,
            direct: analyse.i_direct_mv_pred,
            me_method: analyse.i_me_method,
            me_range: analyse.i_me_range,
            subme: analyse.i_subpel_refine,
            trellis: analyse.i_trellis,
            chroma_me: analyse.b_chroma_me,
            mixed_references: analyse.b_mixed_references,
            fast_pskip: analyse.b_fast_pskip,
            dct_decimate: analyse.b_dct_decimate,
        }
    }

    const fn write_to(self, params: &mut Params) {
        params.i_frame_reference = self.references;
        let analyse = &mut params.analyse;
        analyse.intra = self.intra;
        analyse.inter = self.inter;
        analyse.i_direct_mv_pred = self.direct;
        analyse.i_me_method = self.me_method;
        analyse.i_me_range = self.me_range;
        analyse.i_subpel_refine = self.subme;
        analyse.i_trellis = self.trellis;
        analyse.b_chroma_me = self.chroma_me;
        analyse.b_mixed_references = self.mixed_references;
        analyse.b_fast_pskip = self.fast_pskip;
        analyse.b_dct_decimate = self.dct_decimate;
    }
}

/// The speeds that one encoder can be taken to.
#[derive(Debug)]
pub(super) struct Ladder {
    speeds: &'static [Speed],
    fields: Vec<Fields>,
}

impl Ladder {
    /// From the fastest preset that `spec` allows up to its own, of which the encoder was opened
    /// with `opened`. It has no speeds if that is fixed, or is none of those that can be left.
    pub(super) fn new(spec: &VideoSpec, opened: &Params) -> Result<Self, Error> {
        let place = |preset: &str| SPEEDS.iter().position(|speed| speed.preset == preset);
        let speeds = match (&spec.fastest_preset, place(&spec.preset)) {
            (Some(fastest), Some(own)) => {
                let fastest = place(fastest).filter(|fastest| *fastest <= own);
                let fastest = fastest.ok_or_else(|| cannot_begin(spec))?;
                &SPEEDS[fastest..=own]
            }
            _ => &SPEEDS[..0],
        };
        let fields = speeds.iter().map(|speed| {
            if speed.preset == spec.preset {
                return Ok(Fields::of(opened));
            }
            let fields = Fields::of(&*of_preset(speed.preset, &spec.tune)?);
            let references = fields.references.min(opened.i_frame_reference);
            Ok(Fields { references, ..fields })
        });
        Ok(Self { speeds, fields: fields.collect::<Result<_, Error>>()? })
    }

    pub(super) const fn speeds(&self) -> &'static [Speed] {
        self.speeds
    }

    /// Makes `params` those of this speed, if there is such a speed.
    pub(super) fn choose(&self, step: usize, params: &mut Params) -> Result<(), Error> {
        let Some(fields) = self.fields.get(step) else {
            let count = self.fields.len();
            return Err(Error::Config(format!("speed {step} of an encoder that has {count}")));
        };
        fields.write_to(params);
        Ok(())
    }
}

fn cannot_begin(spec: &VideoSpec) -> Error {
    let fastest = spec.fastest_preset.as_deref().unwrap_or_default();
    Error::Config(format!(
        "fastest_preset = \"{fastest}\": a running libx264 can be taken from superfast up to its \
         preset = \"{}\", and fastest_preset has to be one of these",
        spec.preset
    ))
}
