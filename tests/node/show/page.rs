//! The page "Run a show": its files and commands, by the heading that they stand under.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::node::BINARY;
use crate::program::Program;
use crate::wait::SOON;

const PAGE: &str = "docs/show.md";

/// Most bytes of one of its pictures.
const PICTURE_MAX: u64 = 150 << 10;

/// A block of code, or none yet, under a heading.
struct Block {
    heading: String,
    number: usize,
    text: String,
}

/// The page as a reader does it, on other ports and with other destinations.
pub(super) struct Page {
    blocks: Vec<Block>,
    pictures: Vec<String>,
    done: RefCell<BTreeSet<(String, usize)>>,
    folder: PathBuf,
}

impl Page {
    /// Reads it; the first of each pair is written as the second. Commands run in `folder`.
    pub(super) fn read(folder: &Path, others: &[(&str, String)]) -> Self {
        let mut text = std::fs::read_to_string(root().join(PAGE)).unwrap();
        for (written, meant) in others {
            assert!(text.contains(written), "{PAGE} names no {written}");
            text = text.replace(written, meant);
        }
        let (mut blocks, mut pictures) = (Vec::<Block>::new(), Vec::new());
        let (mut heading, mut number, mut is_code) = (String::new(), 0, false);
        for line in text.lines() {
            if line.starts_with("```") {
                is_code = !is_code;
                if is_code {
                    blocks.push(Block { heading: heading.clone(), number, text: String::new() });
                    number += 1;
                }
            } else if is_code {
                let block = blocks.last_mut().unwrap();
                block.text = format!("{}{line}\n", block.text);
            } else if let Some(words) = line.strip_prefix("## ") {
                (heading, number) = (words.to_owned(), 0);
            } else if let Some((_, rest)) = line.split_once("](show/") {
                pictures.push(rest.split(')').next().unwrap().to_owned());
            }
        }
        Self { blocks, pictures, done: RefCell::default(), folder: folder.to_owned() }
    }

    /// The block with this number under a heading, from 0 on.
    pub(super) fn block(&self, heading: &str, number: usize) -> &str {
        let is_it = |block: &&Block| block.heading == heading && block.number == number;
        let block = self.blocks.iter().find(is_it);
        let block = block.unwrap_or_else(|| panic!("{PAGE}: no block {number} of {heading:?}"));
        self.done.borrow_mut().insert((heading.to_owned(), number));
        &block.text
    }

    /// Starts the command in a block; it is the one that signals go to.
    pub(super) fn start(&self, heading: &str, number: usize) -> Program {
        self.shell(&format!("exec {}", self.block(heading, number)))
    }

    /// Does what a block says, and gives what that prints.
    pub(super) fn run(&self, heading: &str, number: usize) -> String {
        let text = format!("{}{}", self.block("Commands", 0), self.block(heading, number));
        String::from_utf8(self.shell(&text).succeeds(SOON)).unwrap()
    }

    fn shell(&self, text: &str) -> Program {
        let programs = Path::new(BINARY).parent().unwrap().display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-e", "-c", text]).env("PATH", path).current_dir(&self.folder);
        Program::spawn("sh", command)
    }

    /// That everything on it has been done, and that these are its pictures.
    pub(super) fn assert_done(&self, pictures: &[&str]) {
        let all = self.blocks.iter().map(|block| (block.heading.clone(), block.number));
        let done = self.done.borrow();
        let left: Vec<_> = all.filter(|block| !done.contains(block)).collect();
        assert!(left.is_empty(), "{PAGE}: never done: {left:?}");
        assert_eq!(self.pictures, pictures, "the pictures of {PAGE}");
        for picture in pictures {
            let file = root().join("docs/show").join(picture);
            let bytes = std::fs::metadata(&file).unwrap_or_else(|error| {
                panic!("{}: {error}: `make show` makes it", file.display())
            });
            assert!(bytes.len() <= PICTURE_MAX, "{picture} has {} bytes", bytes.len());
        }
    }
}

/// The folder of the sources.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
