//! The pprof form of a profile, as `go tool pprof` and speedscope open it. Functions are told apart
//! by their names, which is all that is known of them, and each is its own location.
//!
//! The numbers of fields are those of pprof's `profile.proto`.

use std::collections::HashMap;

use crate::media::Micros;
use crate::media::protobuf::Writer;

/// Key of the label that names the thread of a stack.
const THREAD: &str = "thread";

/// Numbers of the texts of a profile, which are said once and then by number.
struct Texts<'a> {
    numbers: HashMap<&'a str, u64>,
    in_order: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    /// The first is the empty one: a number of 0 says that there is none.
    fn new() -> Self {
        Self { numbers: HashMap::from([("", 0)]), in_order: vec![""] }
    }

    fn number(&mut self, text: &'a str) -> u64 {
        *self.numbers.entry(text).or_insert_with(|| {
            self.in_order.push(text);
            self.in_order.len() as u64 - 1
        })
    }
}

/// A profile of `(thread;outermost;...;innermost, count)`, of which each sample stands for `1 / hz`
/// of a second of CPU time, and which took `span`.
pub(super) fn pprof<'a>(
    stacks: impl Iterator<Item = (&'a str, u64)>,
    (span, hz): (Micros, u32),
) -> Vec<u8> {
    let period = 1_000_000_000 / u64::from(hz.max(1));
    let (mut texts, mut profile) = (Texts::new(), Writer::default());
    let (samples, count) = (texts.number("samples"), texts.number("count"));
    let (cpu, nanoseconds, key) =
        (texts.number("cpu"), texts.number("nanoseconds"), texts.number(THREAD));
    let value_type = |(name, unit): (u64, u64)| {
        move |message: &mut Writer| {
            message.uint(1, name);
            message.uint(2, unit);
        }
    };
    profile.message(1, value_type((samples, count)));
    profile.message(1, value_type((cpu, nanoseconds)));
    // The locations, by the number of their functions' names, in the order they were met.
    let mut locations: HashMap<u64, u64> = HashMap::new();
    let mut functions = Vec::new();
    for (stack, seen) in stacks {
        let (thread, names) = stack.split_once(';').unwrap_or((stack, stack));
        let thread = texts.number(thread);
        profile.message(2, |sample| {
            for name in names.rsplit(';') {
                let name = texts.number(name);
                let next = locations.len() as u64 + 1;
                let location = *locations.entry(name).or_insert_with(|| {
                    functions.push(name);
                    next
                });
                sample.uint(1, location);
            }
            sample.uint(2, seen);
            sample.uint(2, seen * period);
            sample.message(3, |label| {
                label.uint(1, key);
                label.uint(2, thread);
            });
        });
    }
    for (number, name) in (1..).zip(&functions) {
        profile.message(4, |location| {
            location.uint(1, number);
            location.message(4, |line| line.uint(1, number));
        });
        profile.message(5, |function| {
            function.uint(1, number);
            function.uint(2, *name);
            function.uint(3, *name);
        });
    }
    profile.uint(10, span.0 * 1_000);
    profile.message(11, value_type((cpu, nanoseconds)));
    profile.uint(12, period);
    texts.in_order.iter().for_each(|text| profile.text(6, text));
    profile.finish()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    // What these tests look at of pprof's proto, by the numbers there.

    #[derive(Clone, PartialEq, Message)]
    struct Profile {
        #[prost(message, repeated, tag = "1")]
        sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        sample: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        string_table: Vec<String>,
        #[prost(int64, tag = "10")]
        duration_nanos: i64,
        #[prost(message, optional, tag = "11")]
        period_type: Option<ValueType>,
        #[prost(int64, tag = "12")]
        period: i64,
    }

    #[derive(Clone, PartialEq, Message)]
    struct ValueType {
        #[prost(int64, tag = "1")]
        kind: i64,
        #[prost(int64, tag = "2")]
        unit: i64,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        value: Vec<i64>,
        #[prost(message, repeated, tag = "3")]
        label: Vec<Label>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Label {
        #[prost(int64, tag = "1")]
        key: i64,
        #[prost(int64, tag = "2")]
        text: i64,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Location {
        #[prost(uint64, tag = "1")]
        id: u64,
        #[prost(message, repeated, tag = "4")]
        line: Vec<SourceLine>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct SourceLine {
        #[prost(uint64, tag = "1")]
        function_id: u64,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Function {
        #[prost(uint64, tag = "1")]
        id: u64,
        #[prost(int64, tag = "2")]
        name: i64,
    }

    impl Profile {
        fn text(&self, number: i64) -> &str {
            &self.string_table[usize::try_from(number).unwrap()]
        }

        fn name_of(&self, location: u64) -> &str {
            let location = self.location.iter().find(|it| it.id == location).unwrap();
            let function = location.line[0].function_id;
            self.text(self.function.iter().find(|it| it.id == function).unwrap().name)
        }
    }

    #[test]
    fn another_reader_finds_each_stack_from_the_innermost_function_out() {
        let stacks = [("shard-0;run;send", 3), ("encode;run", 1), ("[other stacks]", 2)];
        let bytes = pprof(stacks.into_iter(), (Micros::from_secs(10), 100));
        let profile = Profile::decode(bytes.as_slice()).unwrap();
        let read: Vec<_> = profile
            .sample
            .iter()
            .map(|sample| {
                let names: Vec<_> =
                    sample.location_id.iter().map(|it| profile.name_of(*it)).collect();
                let label = &sample.label[0];
                let thread = (profile.text(label.key), profile.text(label.text));
                (thread, names.join(" < "), sample.value.clone())
            })
            .collect();
        assert_eq!(
            read,
            [
                (("thread", "shard-0"), "send < run".to_owned(), vec![3, 30_000_000]),
                (("thread", "encode"), "run".to_owned(), vec![1, 10_000_000]),
                (("thread", "[other stacks]"), "[other stacks]".to_owned(), vec![2, 20_000_000]),
            ]
        );
        assert_eq!(profile.string_table[0], "");
        let types: Vec<_> = profile
            .sample_type
            .iter()
            .chain(&profile.period_type)
            .map(|it| (profile.text(it.kind), profile.text(it.unit)))
            .collect();
        assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds"), ("cpu", "nanoseconds")]);
        assert_eq!((profile.duration_nanos, profile.period), (10_000_000_000, 10_000_000));
        assert_eq!(profile.function.len(), 3, "each function once");
    }
}
