//! Reading pools: each error is found where it stands, so that whoever reads the file can name the line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PoolCapacity, PoolTaint, Timing};
use crate::names;
use crate::quantity::Quantity;

/// How long an idle node stays by default: the autoscaler's `--scale-down-unneeded-time`.
pub(super) const IDLE: u32 = 600;
/// More nodes in one place would be a mistake.
const MOST: u32 = 500;
/// A cluster's name, a pool's and a number make a host name.
const LONGEST: usize = 16;

/// An amount of a resource, as in `500m`, `4` or `8Gi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub Quantity);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as 500m, 4 or 8Gi")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                let amount = text.parse::<Quantity>().ok().filter(|amount| amount.milli_value() > 0);
                amount.map(Amount).ok_or_else(|| E::custom(format!("`{text}` is no amount such as 500m, 4 or 8Gi")))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A text that must have a form of Kubernetes'.
macro_rules! checked {
    ($visible:vis $name:ident, $what:literal, $wrong:expr) => {
        #[doc = concat!("A text that is ", $what, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        $visible struct $name(pub(super) String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;
                impl Visitor<'_> for Reader {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        let wrong: fn(&str) -> Vec<String> = $wrong;
                        match wrong(text).into_iter().next() {
                            None => Ok($name(text.to_owned())),
                            Some(why) => Err(E::custom(format!("`{text}` is not {}: {why}", $what))),
                        }
                    }
                }
                deserializer.deserialize_str(Reader)
            }
        }
    };
}

checked!(pub Label, "the key of a label", names::qualified_name);
checked!(pub(super) LabelValue, "the value of a label", names::label_value);
checked!(pub(super) PoolName, "the name of a pool", |text| {
    let mut wrong = names::dns_label(text);
    if text.len() > LONGEST {
        wrong.push(format!("must be no more than {LONGEST} characters"));
    }
    wrong
});

/// A mapping that is read field by field and then looked at as a whole; an error about the whole stands where it begins.
macro_rules! whole {
    ($raw:ident, $read:ty) => {
        impl<'de> Deserialize<'de> for $read {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reader;
                impl<'de> Visitor<'de> for Reader {
                    type Value = $read;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a mapping")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$read, A::Error> {
                        $raw::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(A::Error::custom)
                    }
                }
                deserializer.deserialize_map(Reader)
            }
        }
    };
}

whole!(Nodes, super::Nodes);
whole!(Pool, super::Pool);

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Nodes {
    pools: Vec<super::Pool>,
    timing: Timing,
}

impl TryFrom<Nodes> for super::Nodes {
    type Error = String;

    fn try_from(nodes: Nodes) -> Result<Self, String> {
        let mut names = BTreeSet::new();
        if let Some(twice) = nodes.pools.iter().find(|pool| !names.insert(&pool.name)) {
            return Err(format!("two pools are called `{}`", twice.name));
        }
        let timing = nodes.timing;
        if timing.renew_seconds == 0 || timing.grace_seconds <= timing.renew_seconds {
            return Err(format!(
                "timing: graceSeconds ({}) must be longer than renewSeconds ({}), and that longer than 0",
                timing.grace_seconds, timing.renew_seconds
            ));
        }
        Ok(Self { pools: nodes.pools, timing })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pool {
    name: PoolName,
    #[serde(default)]
    labels: BTreeMap<Label, LabelValue>,
    #[serde(default)]
    taints: Vec<PoolTaint>,
    #[serde(default)]
    capacity: PoolCapacity,
    #[serde(default)]
    min: u32,
    max: Option<u32>,
    idle_seconds: Option<u32>,
}

impl TryFrom<Pool> for super::Pool {
    type Error = String;

    fn try_from(pool: Pool) -> Result<Self, String> {
        let name = pool.name.0;
        let max = pool.max.unwrap_or(pool.min.max(1));
        if pool.min > max {
            return Err(format!("pool `{name}`: min ({}) is more than max ({max})", pool.min));
        }
        if max > MOST {
            return Err(format!("pool `{name}`: max ({max}) is more than {MOST}"));
        }
        Ok(Self {
            name,
            labels: pool.labels.into_iter().map(|(key, value)| (key.0, value.0)).collect(),
            taints: pool.taints,
            capacity: pool.capacity,
            min: pool.min,
            max,
            idle_seconds: pool.idle_seconds.unwrap_or(IDLE),
        })
    }
}
