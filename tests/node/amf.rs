//! AMF0 values, as commands carry them.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Amf {
    Number(f64),
    Bool(bool),
    Text(String),
    Object(Vec<(String, Self)>),
    List(Vec<Self>),
    Null,
}

impl Amf {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn object(fields: &[(&str, &str)]) -> Self {
        Self::Object(fields.iter().map(|(k, v)| ((*k).to_owned(), Self::text(v))).collect())
    }

    /// The text, or nothing if it is none.
    pub(crate) fn as_text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    /// A field of an object.
    pub(crate) fn field(&self, name: &str) -> &Self {
        let Self::Object(fields) = self else { return &Self::Null };
        fields.iter().find(|(key, _)| key == name).map_or(&Self::Null, |(_, value)| value)
    }

    /// All values of a message's body.
    pub(crate) fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut values = Vec::new();
        while !bytes.is_empty() {
            values.push(Self::read(&mut bytes));
        }
        values
    }

    fn read(bytes: &mut &[u8]) -> Self {
        match take(bytes, 1)[0] {
            0 => Self::Number(f64::from_be_bytes(take(bytes, 8).try_into().unwrap())),
            1 => Self::Bool(take(bytes, 1)[0] != 0),
            2 => Self::Text(read_text(bytes)),
            3 => Self::Object(read_fields(bytes)),
            5 | 6 => Self::Null,
            8 => {
                take(bytes, 4);
                Self::Object(read_fields(bytes))
            }
            10 => {
                let count = u32::from_be_bytes(take(bytes, 4).try_into().unwrap());
                Self::List((0..count).map(|_| Self::read(bytes)).collect())
            }
            marker => panic!("AMF marker {marker}"),
        }
    }

    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                bytes.push(0);
                bytes.extend(number.to_be_bytes());
            }
            Self::Bool(value) => bytes.extend([1, u8::from(*value)]),
            Self::Text(text) => {
                bytes.push(2);
                write_text(text, bytes);
            }
            Self::Object(fields) => {
                bytes.push(3);
                for (key, value) in fields {
                    write_text(key, bytes);
                    value.write(bytes);
                }
                bytes.extend([0, 0, 9]);
            }
            Self::List(values) => {
                bytes.push(10);
                bytes.extend(u32::try_from(values.len()).unwrap().to_be_bytes());
                values.iter().for_each(|value| value.write(bytes));
            }
            Self::Null => bytes.push(5),
        }
    }
}

fn read_fields(bytes: &mut &[u8]) -> Vec<(String, Amf)> {
    let mut fields = Vec::new();
    loop {
        let key = read_text(bytes);
        if key.is_empty() && bytes.first() == Some(&9) {
            take(bytes, 1);
            return fields;
        }
        fields.push((key, Amf::read(bytes)));
    }
}

fn read_text(bytes: &mut &[u8]) -> String {
    let length = u16::from_be_bytes(take(bytes, 2).try_into().unwrap());
    String::from_utf8(take(bytes, length.into()).to_vec()).unwrap()
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}
