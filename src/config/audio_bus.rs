//! Bus of a channel's mixer: the keys `normalize_lufs` and `ceiling_dbtp` of `[channel.audio]`.

use toml::Table;

use super::fault::Faults;
use super::section::Section;
use crate::audio::{BusSpec, CEILING_DBTP, NORMALIZE_LUFS};

/// The keys.
pub(super) const KEYS: [&str; 2] = ["normalize_lufs", "ceiling_dbtp"];

/// The bus in a table.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>) -> BusSpec {
    let usual = BusSpec::default();
    let [highest, .., lowest] = [NORMALIZE_LUFS[2], NORMALIZE_LUFS[1], NORMALIZE_LUFS[0]];
    let normalize_lufs = s.whole(faults, "normalize_lufs", lowest..=highest);
    if let Some(lufs) = normalize_lufs.filter(|lufs| !NORMALIZE_LUFS.contains(lufs)) {
        let text = format!(
            "`normalize_lufs` {lufs} is not one of -23, -16 and -14; leave it out to have the \
             loudness as it is"
        );
        faults.add(&s.place("normalize_lufs"), text);
    }
    let ceiling_dbtp = s.number(faults, "ceiling_dbtp", CEILING_DBTP).unwrap_or(usual.ceiling_dbtp);
    BusSpec { normalize_lufs, ceiling_dbtp }
}

/// Writes the keys that [`read`] reads as the same.
pub(super) fn write(of: BusSpec) -> Table {
    let mut table = Table::new();
    if let Some(lufs) = of.normalize_lufs {
        table.insert("normalize_lufs".to_owned(), i64::from(lufs).into());
    }
    table.insert("ceiling_dbtp".to_owned(), f64::from(of.ceiling_dbtp).into());
    table
}
