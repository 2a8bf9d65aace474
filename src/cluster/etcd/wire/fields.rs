//! Single fields: bytes as base64, 64-bit numbers as text.

/// Whether a number is the one that is left out.
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Bytes as base64.
pub(crate) mod base64 {
    use std::borrow::Cow;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        STANDARD
            .decode(text.as_bytes())
            .map_err(|error| D::Error::custom(format_args!("not base64: {error}")))
    }
}

/// Numbers of 64 bits as text, since JSON's are floating-point ones to many.
pub(crate) mod number {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form<'a, T> {
        Text(#[serde(borrow)] std::borrow::Cow<'a, str>),
        Number(T),
    }

    pub(crate) fn serialize<T: Display, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(number),
            Form::Text(text) => text
                .parse()
                .map_err(|_| D::Error::custom("not a number of 64 bits")),
        }
    }
}
