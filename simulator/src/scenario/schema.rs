//! Which keys a scenario file has, and of what kind their values are.
//!
//! The types say so too, but the TOML reader forgets where a value stood once it is inside a tagged
//! enum, and knows no nearest name. What passes this walk is read by the types without errors.

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use super::{Direction, MatrixValues, Unit};
use crate::builder::Start;
use crate::byzantine::Lie;

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// An integer from 0.
    Whole,
    /// An integer.
    Signed,
    /// A finite number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A length of time.
    Span,
    /// A set of peers.
    Who,
    /// A list of sets of peers.
    Whos,
    /// One of a few words.
    Word(fn() -> &'static [&'static str]),
    /// A table.
    Table(&'static Form),
    /// A list of tables.
    Tables(&'static Form),
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Its keys.
    pub(super) keys: &'static [Key],
    /// The key whose word decides about further keys.
    pub(super) tag: Option<Tag>,
}

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) needed: bool,
}

/// A key whose word decides about further keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub(super) name: &'static str,
    pub(super) variants: &'static [(&'static str, &'static [Key])],
}

const fn need(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, needed: true }
}

const fn may(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, needed: false }
}

const fn plain(keys: &'static [Key]) -> Form {
    Form { keys, tag: None }
}

/// The whole file.
pub(super) static SCENARIO: Form = plain(&[
    need("format", Kind::Whole),
    need("title", Kind::Text),
    may("description", Kind::Text),
    need("peers", Kind::Whole),
    may("seed", Kind::Whole),
    may("start", Kind::Word(words::<Start>)),
    may("phases", Kind::Table(&PHASES)),
    may("network", Kind::Table(&NETWORK)),
    may("groups", Kind::Tables(&GROUP)),
    may("faults", Kind::Tables(&FAULT)),
    may("churn", Kind::Table(&CHURN)),
    may("promises", Kind::Table(&PROMISES)),
]);

static PHASES: Form = plain(&[
    may("stagger", Kind::Span),
    may("settle", Kind::Span),
    may("faults", Kind::Span),
    may("healed", Kind::Span),
]);

static NETWORK: Form = plain(&[
    may("latency", Kind::Table(&LATENCY)),
    may("conditions", Kind::Table(&CONDITIONS)),
    may("links", Kind::Tables(&LINK)),
]);

static LINK: Form =
    plain(&[need("from", Kind::Whole), need("to", Kind::Whole), need("latency", Kind::Span)]);

static LATENCY: Form = Form {
    keys: &[],
    tag: Some(Tag {
        name: "model",
        variants: &[
            ("uniform", &[need("min", Kind::Span), need("max", Kind::Span)]),
            (
                "matrix",
                &[
                    need("source", Kind::Text),
                    may("unit", Kind::Word(words::<Unit>)),
                    may("values", Kind::Word(words::<MatrixValues>)),
                    may("symmetric", Kind::Flag),
                ],
            ),
            ("regions", &[need("regions", Kind::Tables(&REGION)), may("detour", Kind::Number)]),
            ("graphml", &[need("source", Kind::Text), may("access", Kind::Span)]),
            ("generated", &[need("shape", Kind::Table(&SHAPE)), need("hop", Kind::Span)]),
        ],
    }),
};

static REGION: Form = plain(&[
    need("name", Kind::Text),
    need("latitude", Kind::Number),
    need("longitude", Kind::Number),
    may("weight", Kind::Whole),
    may("access", Kind::Span),
]);

static SHAPE: Form = Form {
    keys: &[],
    tag: Some(Tag {
        name: "kind",
        variants: &[
            ("full", &[]),
            ("ring", &[]),
            ("line", &[]),
            ("star", &[]),
            ("tree", &[need("branching", Kind::Whole)]),
            ("grid", &[]),
            ("small-world", &[need("degree", Kind::Whole), need("rewire", Kind::Number)]),
            ("scale-free", &[need("links", Kind::Whole)]),
            ("random-regular", &[need("degree", Kind::Whole)]),
            ("clusters", &[need("clusters", Kind::Whole), need("bridge", Kind::Span)]),
        ],
    }),
};

static CONDITIONS: Form = plain(&[
    may("jitter", Kind::Span),
    may("loss", Kind::Number),
    may("burst", Kind::Table(&BURST)),
    may("duplicate", Kind::Number),
    may("reorder", Kind::Table(&REORDER)),
    may("up-kbps", Kind::Whole),
    may("down-kbps", Kind::Whole),
]);

static BURST: Form =
    plain(&[need("every", Kind::Span), need("lasts", Kind::Span), need("loss", Kind::Number)]);

static REORDER: Form = plain(&[need("share", Kind::Number), need("by", Kind::Span)]);

static GROUP: Form = plain(&[
    need("name", Kind::Text),
    need("peers", Kind::Who),
    may("conditions", Kind::Table(&CONDITIONS)),
    may("sleep-grace", Kind::Span),
]);

const PEERS: Key = need("peers", Kind::Who);

static FAULT: Form = Form {
    keys: &[need("at", Kind::Span), may("for", Kind::Span)],
    tag: Some(Tag {
        name: "fault",
        variants: &[
            ("crash", &[PEERS, may("process-only", Kind::Flag), may("lose-state", Kind::Flag)]),
            (
                "rolling-restart",
                &[
                    PEERS,
                    need("every", Kind::Span),
                    need("down", Kind::Span),
                    may("lose-state", Kind::Flag),
                ],
            ),
            ("pause", &[PEERS]),
            ("sleep", &[PEERS]),
            ("slow", &[PEERS, need("delay", Kind::Span)]),
            ("starve", &[PEERS, need("run", Kind::Span), need("stall", Kind::Span)]),
            ("cut", &[need("from", Kind::Who), need("to", Kind::Who)]),
            ("no-path", &[need("between", Kind::Who), need("and", Kind::Who)]),
            (
                "flip-flop",
                &[
                    PEERS,
                    may("direction", Kind::Word(words::<Direction>)),
                    need("off", Kind::Span),
                    need("on", Kind::Span),
                ],
            ),
            ("loss", &[PEERS, may("ingress", Kind::Number), may("egress", Kind::Number)]),
            ("degrade", &[PEERS, need("conditions", Kind::Table(&CONDITIONS))]),
            ("partition", &[need("sides", Kind::Whos)]),
            ("clock", &[PEERS, need("jump-ms", Kind::Signed)]),
            ("lie", &[PEERS, need("lie", Kind::Word(words::<Lie>))]),
            ("join", &[need("count", Kind::Whole)]),
            ("leave", &[PEERS]),
            ("corrupt", &[PEERS]),
        ],
    }),
};

static CHURN: Form = plain(&[
    PEERS,
    need("session", Kind::Span),
    need("absence", Kind::Span),
    may("lose-state", Kind::Number),
]);

static PROMISES: Form = plain(&[
    may("detection", Kind::Span),
    may("healing", Kind::Span),
    may("mean-bytes-per-second", Kind::Whole),
    may("peak-bytes-per-second", Kind::Whole),
]);

/// The words of an enum without data, as its own reader knows them: a variant that is added there
/// is known here.
fn words<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut words: &'static [&'static str] = &[];
    // The reader is asked what it would accept and then told that there is nothing.
    let _nothing = T::deserialize(Listener { words: &mut words });
    words
}

struct Listener<'a> {
    words: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("nothing is there"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.words = variants;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(form: &Form, names: &mut BTreeSet<&'static str>) {
        let tagged = form.tag.iter().flat_map(|tag| tag.variants);
        names.extend(form.tag.iter().map(|tag| tag.name));
        names.extend(tagged.clone().map(|(name, _)| *name));
        for key in form.keys.iter().chain(tagged.flat_map(|(_, keys)| *keys)) {
            names.insert(key.name);
            match key.kind {
                Kind::Table(inner) | Kind::Tables(inner) => self::names(inner, names),
                Kind::Word(words) => names.extend(words()),
                _ => {}
            }
        }
    }

    #[test]
    fn the_manual_has_every_key_and_word() {
        let manual = include_str!("../../../docs/simulator.md");
        let mut all = BTreeSet::new();
        names(&SCENARIO, &mut all);
        let missing: Vec<_> = all
            .iter()
            .filter(|name| {
                !manual.contains(&format!("`{name}`"))
                    && !manual.contains(&format!("[{name}]"))
                    && !manual.contains(&format!(".{name}]"))
            })
            .collect();
        assert!(all.len() > 80 && missing.is_empty(), "{missing:?}");
    }
}
