//! API tokens: bearer tokens with names and roles. Each node has two of its own, one that may do
//! everything and one that may only read, kept in files that nobody but the node's user can read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use subtle::{Choice, ConstantTimeEq};

use super::durable;

/// File in the data directory with the token that may do everything.
pub const TOKEN_FILE: &str = "api-token";

/// File in the data directory with the password of obs-websocket, unless another one is named.
pub const OBS_PASSWORD_FILE: &str = "obs-websocket-password";

/// File in the data directory with the token that may only read.
pub const READONLY_TOKEN_FILE: &str = "api-token-readonly";

/// Fewest and most characters of a token that somebody else chose.
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 16..=256;

/// Bytes of a token's file that are read. Longer files hold something else.
const FILE_BYTES_MAX: u64 = 4_096;

/// Rights of others than the owner.
const MODE_OTHERS: u32 = 0o077;

/// What somebody may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Look.
    Read,
    /// Run the show: scenes, outputs, streams, connections. No stream keys and nothing of the node.
    Operate,
    /// Everything.
    Write,
}

impl Access {
    /// Its word in the configuration and the API: the role of a token.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Read => "read-only",
            Self::Operate => "operator",
            Self::Write => "admin",
        }
    }
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What it may do.
    pub access: Access,
    /// Name of its token; nothing where none is asked for.
    pub token: Option<Arc<str>>,
}

/// A bearer token: a secret. `Debug` hides it, and there is no `Display`.
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// The token itself, for whoever starts the node. Must not reach a log or an answer.
    #[must_use]
    pub const fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it was shown. Takes the same time for every wrong one of any length.
    fn is(&self, shown: &str) -> Choice {
        let hash = |text: &str| *blake3::hash(text.as_bytes()).as_bytes();
        hash(&self.0).ct_eq(&hash(shown))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// The tokens of a node.
#[derive(Clone, Debug)]
pub enum Tokens {
    /// Anybody may do everything: for a laboratory, on loopback only.
    Off,
    /// A token is needed: one of these, of which the first may do everything.
    On(Vec<NamedToken>),
}

/// A token with what it is called and what it may do.
#[derive(Clone, Debug)]
pub struct NamedToken {
    /// Name in events and logs.
    pub name: Arc<str>,
    /// What whoever shows it may do.
    pub access: Access,
    /// The secret.
    token: Token,
}

/// A token that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlace {
    /// Its name.
    pub name: String,
    /// What whoever shows it may do.
    pub access: Access,
    /// The file that holds it, or will.
    pub file: PathBuf,
}

impl Tokens {
    /// Reads the files of the two tokens that each node has and of those that are `named`, and
    /// makes those that are not there.
    ///
    /// # Errors
    /// If a file cannot be read or made, does not hold a token, or the same one as another.
    pub fn open(admin: &Path, reader: &Path, named: &[TokenPlace]) -> Result<Self, TokenError> {
        let own = [(ADMIN, Access::Write, admin), (READER, Access::Read, reader)];
        let named = named.iter().map(|it| (it.name.as_str(), it.access, it.file.as_path()));
        let mut tokens: Vec<(NamedToken, &Path)> = Vec::new();
        for (name, access, file) in own.into_iter().chain(named) {
            let token = open(file)?;
            if let Some((_, other)) = tokens.iter().find(|(it, _)| it.token.is(&token.0).into()) {
                return Err(TokenError::Same((*other).to_owned(), file.to_owned()));
            }
            tokens.push((NamedToken { name: Arc::from(name), access, token }, file));
        }
        Ok(Self::On(tokens.into_iter().map(|(token, _)| token).collect()))
    }

    /// Who shows `shown`; nobody if it is no token of ours.
    #[must_use]
    pub fn caller(&self, shown: Option<&str>) -> Option<Caller> {
        let Self::On(tokens) = self else {
            return Some(Caller { access: Access::Write, token: None });
        };
        let shown = shown.unwrap_or_default();
        // All are looked at, whichever it is.
        let mut found = None;
        for token in tokens {
            if token.token.is(shown).into() {
                found = Some(token);
            }
        }
        let caller =
            |it: &NamedToken| Caller { access: it.access, token: Some(Arc::clone(&it.name)) };
        found.map(caller)
    }

    /// The token that may do everything.
    #[must_use]
    pub fn admin(&self) -> Option<&Token> {
        match self {
            Self::Off => None,
            Self::On(tokens) => tokens.first().map(|it| &it.token),
        }
    }
}

/// Names of the tokens in [`TOKEN_FILE`] and [`READONLY_TOKEN_FILE`].
pub const ADMIN: &str = "admin";
/// See [`ADMIN`].
pub const READER: &str = "read-only";

/// Why there is no token.
#[derive(Debug)]
pub enum TokenError {
    /// The file cannot be read or made: give the node the right to, or name another one.
    File(PathBuf, io::Error),
    /// What it holds is no token: write another one, or remove the file.
    Malformed(PathBuf),
    /// Both files hold the same: remove one.
    Same(PathBuf, PathBuf),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, cause) => write!(
                f,
                "the token {} cannot be read or made: {cause}; let this user do that, or name \
                 another file in [http] or [obs_websocket]",
                path.display()
            ),
            Self::Malformed(path) => write!(
                f,
                "{} holds no token: {} to {} letters, digits, - . _ and ~; write \
                 one, or remove the file and start again to have one made",
                path.display(),
                TOKEN_CHARS.start(),
                TOKEN_CHARS.end()
            ),
            Self::Same(one, other) => write!(
                f,
                "{} and {} hold the same token, so that nobody could tell who shows it; remove \
                 one of them and start again to have another made",
                one.display(),
                other.display()
            ),
        }
    }
}

impl std::error::Error for TokenError {}

/// A token of its own from a file, which is made if it is not there: the password of
/// obs-websocket.
///
/// # Errors
/// If the file cannot be read or made, or does not hold a token.
pub fn open(path: &Path) -> Result<Token, TokenError> {
    let failed = |error| TokenError::File(path.to_owned(), error);
    match File::open(path) {
        Ok(file) => {
            let mode = file.metadata().map_err(failed)?.permissions().mode();
            if mode & MODE_OTHERS != 0 {
                let path = path.display();
                tracing::warn!("{path} can be read by other users; say: chmod 600 {path}");
            }
            let mut text = String::new();
            file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
            parse(&text).ok_or_else(|| TokenError::Malformed(path.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// It has to fit into a header, a web socket's protocol and an address.
fn parse(text: &str) -> Option<Token> {
    let text = text.trim();
    let good = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let fits = TOKEN_CHARS.contains(&text.len()) && text.chars().all(good);
    fits.then(|| Token(text.into()))
}

fn make(path: &Path) -> io::Result<Token> {
    let mut random = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    durable::replace(path, format!("{text}\n").as_bytes())?;
    Ok(Token(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn paths(dir: &Path) -> [PathBuf; 2] {
        [dir.join("made/api-token"), dir.join("made/api-token-readonly")]
    }

    fn exposed(tokens: &Tokens) -> [String; 2] {
        let Tokens::On(tokens) = tokens else { panic!("off") };
        [0, 1].map(|at| tokens[at].token.expose().to_owned())
    }

    #[test]
    fn tokens_are_made_once_and_nobody_else_can_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let [admin, reader] = paths(dir.path());
        let tokens = Tokens::open(&admin, &reader, &[]).unwrap();
        let first = exposed(&tokens);
        assert_eq!(first, exposed(&Tokens::open(&admin, &reader, &[]).unwrap()));
        assert_ne!(first[0], first[1]);
        for path in [&admin, &reader] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(first.iter().all(|token| token.len() == 64), "{first:?}");
        let shown = format!("{tokens:?}");
        assert!(first.iter().all(|token| !shown.contains(token.as_str())), "{shown}");
    }

    #[test]
    fn each_token_opens_what_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let [admin, reader] = paths(dir.path());
        let tokens = Tokens::open(&admin, &reader, &[]).unwrap();
        let [write, read] = exposed(&tokens);
        let access = |shown| tokens.caller(shown).map(|caller| caller.access);
        assert_eq!(access(Some(&write)), Some(Access::Write));
        assert_eq!(access(Some(&read)), Some(Access::Read));
        for wrong in [None, Some(""), Some(&write[1..]), Some("0")] {
            assert_eq!(access(wrong), None, "{wrong:?}");
        }
        let anybody = Caller { access: Access::Write, token: None };
        assert_eq!(Tokens::Off.caller(None), Some(anybody));
    }

    #[test]
    fn a_named_token_is_known_by_its_name_and_no_two_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let [admin, reader] = paths(dir.path());
        let place = |name: &str, access| TokenPlace {
            name: name.to_owned(),
            access,
            file: dir.path().join(name),
        };
        let named = [place("bot", Access::Operate), place("wall", Access::Read)];
        let tokens = Tokens::open(&admin, &reader, &named).unwrap();
        let shown = fs::read_to_string(dir.path().join("bot")).unwrap();
        let bot = Caller { access: Access::Operate, token: Some(Arc::from("bot")) };
        assert_eq!(tokens.caller(Some(shown.trim())), Some(bot));
        fs::copy(dir.path().join("bot"), dir.path().join("wall")).unwrap();
        let error = Tokens::open(&admin, &reader, &named).unwrap_err().to_string();
        assert!(error.contains("/bot") && error.contains("/wall"), "{error}");
    }

    #[test]
    fn a_given_token_is_taken_unless_it_is_weak_or_would_break_a_header() {
        let dir = tempfile::tempdir().unwrap();
        let [admin, reader] = [dir.path().join("a"), dir.path().join("r")];
        fs::write(&admin, "given-by-the-operator\n").unwrap();
        let tokens = Tokens::open(&admin, &reader, &[]).unwrap();
        let caller = tokens.caller(Some("given-by-the-operator")).unwrap();
        assert_eq!((caller.access, caller.token.as_deref()), (Access::Write, Some(ADMIN)));
        for wrong in ["short", "", "with a blank inside it", "ümläuts-are-not-ascii-either"] {
            fs::write(&admin, wrong).unwrap();
            let error = Tokens::open(&admin, &reader, &[]).unwrap_err().to_string();
            assert!(error.contains("16 to 256"), "{error}");
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
        fs::copy(&reader, &admin).unwrap();
        let error = Tokens::open(&admin, &reader, &[]).unwrap_err().to_string();
        assert!(error.contains("the same token"), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        fs::write(&blocked, "").unwrap();
        let error =
            Tokens::open(&blocked.join("a"), &blocked.join("b"), &[]).unwrap_err().to_string();
        assert!(error.contains("file/a") && error.contains("[http]"), "{error}");
    }
}
