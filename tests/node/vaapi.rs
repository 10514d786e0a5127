//! A GPU that encodes through VAAPI, fails and comes back: the program with the fake VA driver of
//! `ffi/fake`.

use std::process::Command;

use tempfile::TempDir;

use crate::gpu::fakes;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others};

#[test]
fn an_ffmpeg_that_knows_nothing_of_it_encodes_through_the_fake_va_driver() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let (file, log) = (dir.path().join("a.mp4"), dir.path().join("log"));
    for (faults, option, wanted) in [
        ("", "CBR", "320x192 30/1 CBR, 800000 bits"),
        ("no_derive", "VBR", "320x192 30/1 VBR, 800000 bits"),
        ("cqp_only", "CQP", "320x192 30/1 CQP, 0 bits"),
    ] {
        let mut command = Command::new("ffmpeg");
        command.args("-v error -y -vaapi_device /dev/null".split(' '));
        command.args("-f lavfi -i testsrc2=s=320x192:r=30 -frames:v 60".split(' '));
        command.args("-vf format=nv12,hwupload -c:v h264_vaapi -b:v 800k -maxrate 800k".split(' '));
        command.args(["-bf", "0", "-rc_mode", option, file.to_str().unwrap()]);
        command.env("LD_LIBRARY_PATH", fakes());
        command.env("LIBVA_DRIVER_NAME", "fake").env("LIBVA_DRIVERS_PATH", fakes());
        command.env("FAKE_VAAPI", format!("log={},{faults}", log.display()));
        Program::spawn("ffmpeg", command).succeeds(SOON);
        assert_eq!(Recording::at(file.clone()).video_packets().len(), 60);
        let strictly = "-v error -xerror -err_detect explode -i";
        let decoder =
            Program::start("ffmpeg", strictly, &[file.to_str().unwrap(), "-f", "null", "-"]);
        decoder.succeeds(SOON);
        let log_text = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(&log).unwrap();
        let there = |text: &str| log_text.contains(text);
        assert!(there(wanted) && there("closed after 60 pictures"), "{log_text}");
        assert!(!there("fault"), "the fake finds fault with a client that works: {log_text}");
        let is_put = there("60 images put");
        assert_eq!(is_put, faults == "no_derive", "{log_text}");
    }
}
