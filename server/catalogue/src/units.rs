//! Units: money and tokens, as integers.
//!
//! A price list says dollars for a million tokens, with up to six decimals. So one token costs a whole number of
//! millionths of a millionth of a dollar, and no bill is ever rounded, neither before its sum nor after it.
use serde::{Deserialize, Serialize};
use std::fmt;

/// Money in picodollars, millionths of a millionth of a US dollar; `u64` holds 18 million dollars of them. A price
/// list's `"0.035"` for a million tokens is 35,000 of them for one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(try_from = "String")]
pub struct PicoUsd(pub u64);

/// Tokens, as the model that served counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tokens(pub u64);

/// A number of tokens that may be generated: at least one, and what fits Bedrock's 32-bit integer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "i64")]
pub struct MaxTokens(i32);

// === impl Tokens ===

impl Tokens {
    /// What they cost at a price for one of them. Absent: more than can be counted.
    #[must_use]
    pub fn cost(self, each: PicoUsd) -> Option<PicoUsd> {
        self.0.checked_mul(each.0).map(PicoUsd)
    }
}

// === impl PicoUsd ===

impl PicoUsd {
    /// A price for one token as price lists and the catalogue write it: dollars for a million.
    #[must_use]
    pub fn per_million(self) -> String {
        let (dollars, millionths) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let written = format!("{dollars}.{millionths:06}");
        written.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// The sum. Absent: more than can be counted.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl TryFrom<String> for PicoUsd {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        picodollars(&written).map(Self).ok_or_else(|| {
            format!(
                "\"{written}\" is no price: write US dollars for a million tokens, with at most six decimals"
            )
        })
    }
}

impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:012} USD", self.0 / 1_000_000_000_000, self.0 % 1_000_000_000_000)
    }
}

// === impl MaxTokens ===

impl MaxTokens {
    /// In tokens, from 1.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

impl Default for MaxTokens {
    fn default() -> Self {
        Self(4096)
    }
}

impl TryFrom<i64> for MaxTokens {
    type Error = String;

    fn try_from(tokens: i64) -> Result<Self, String> {
        match i32::try_from(tokens) {
            Ok(tokens) if tokens >= 1 => Ok(Self(tokens)),
            _ => Err(format!("{tokens} is not a number of tokens: use 1 to {}", i32::MAX)),
        }
    }
}

/// Dollars for a million tokens as picodollars for one.
fn picodollars(written: &str) -> Option<u64> {
    let (whole, decimals) = written.split_once('.').unwrap_or((written, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let millionths: u64 = format!("{decimals:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(millionths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        for (written, expected) in [
            ("0.00875", 8_750),
            ("0.035", 35_000),
            ("5", 5_000_000),
            ("27.50", 27_500_000),
            ("5.79425", 5_794_250),
            ("0.000001", 1),
            ("0", 0),
            ("18446744073709.551615", u64::MAX),
        ] {
            assert_eq!(PicoUsd::try_from(written.to_owned()), Ok(PicoUsd(expected)), "{written}");
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for written in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "1.0.0",
            " 1",
            "0.0000001",
            "1.-5",
            "x",
            "18446744073709.551616",
            "99999999999999999999",
            "NaN",
            "１",
        ] {
            let problem = PicoUsd::try_from(written.to_owned()).expect_err(written);
            assert!(problem.starts_with(&format!("\"{written}\" is no price")), "{problem}");
        }
    }

    #[test]
    fn a_price_is_written_as_it_is_read() {
        for written in ["0.00875", "0.035", "5", "27.5", "5.79425", "0.000001", "0", "10", "100"] {
            let price = PicoUsd::try_from(written.to_owned()).expect("is a price");
            assert_eq!(price.per_million(), written);
        }
    }

    #[test]
    fn what_cannot_be_counted_is_no_amount() {
        assert_eq!(Tokens(3).cost(PicoUsd(5)), Some(PicoUsd(15)));
        assert_eq!(Tokens(2).cost(PicoUsd(u64::MAX)), None);
        assert_eq!(PicoUsd(u64::MAX).checked_add(PicoUsd(1)), None);
    }

    #[test]
    fn money_is_shown_in_dollars() {
        assert_eq!(PicoUsd(5_794_250).to_string(), "0.000005794250 USD");
        assert_eq!(PicoUsd(12_000_000_000_001).to_string(), "12.000000000001 USD");
    }
}
