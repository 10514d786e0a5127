// Audio of a channel that is not there: settings that stay as they are put, levels that move.

const SILENCE = {
  peak_db: [-120, -120],
  rms_db: [-120, -120],
  true_peak_dbtp: -120,
  momentary_lufs: -120,
  short_term_lufs: -120,
  integrated_lufs: -120,
};

const source = (name, type, gain_db, more = {}) => ({
  name,
  type,
  gain_db,
  mute: false,
  solo: false,
  pan: 0,
  mapping: "stereo",
  delay_ms: 0,
  ...more,
});

export function demoAudio() {
  return {
    sources: [
      source("studio", "live", 0, { compressor: { ratio: 4, threshold_db: -20 } }),
      source("music", "video", -12, { eq: { low_db: 3, mid_db: 0, high_db: -2 } }),
    ],
    bus: { ceiling_dbtp: -1 },
  };
}

/** The levels of what is heard, which go up and down with the time. */
export function levelsOf(audio, at = Date.now()) {
  const isSolo = audio.sources.some(({ solo }) => solo);
  const heard = ({ mute, solo }) => !mute && (solo || !isSolo);
  const levels = (loudness) => {
    const db = loudness + 4 * Math.sin(at / 700);
    return {
      peak_db: [db + 6, db + 5],
      rms_db: [db, db - 1],
      true_peak_dbtp: db + 6.5,
      momentary_lufs: db,
      short_term_lufs: loudness,
      integrated_lufs: loudness,
    };
  };
  const of = audio.sources.map((it) => [it.name, heard(it) ? levels(-20 + it.gain_db) : SILENCE]);
  return { sources: Object.fromEntries(of), bus: levels(audio.bus.normalize_lufs ?? -19) };
}
