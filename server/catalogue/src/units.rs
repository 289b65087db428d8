//! Units: money and tokens, as integers.
//!
//! Price lists state dollars per million tokens with up to six decimals. One token therefore costs a whole
//! number of picodollars, and no amount is ever rounded.
use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount in picodollars (10⁻¹² US dollars). `u64` holds 18 million dollars. A price of `"0.035"` per
/// million tokens is 35,000 picodollars per token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(try_from = "String")]
pub struct PicoUsd(pub u64);

/// A number of tokens, as counted by the model that served the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tokens(pub u64);

/// A maximum number of output tokens, from 1 to 2³¹ - 1, because Bedrock uses a 32-bit integer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "i64")]
pub struct MaxTokens(i32);

/// Why a text is not a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceError {
    /// The text is not a decimal number without sign and exponent, or it is too large.
    NotANumber,
    /// The price of one token is not a whole number of picodollars.
    TooFine,
}

// === impl Tokens ===

impl Tokens {
    /// Cost of the tokens at a price per token. Absent: an overflow.
    #[must_use]
    pub fn cost(self, per_token: PicoUsd) -> Option<PicoUsd> {
        self.0.checked_mul(per_token.0).map(PicoUsd)
    }
}

// === impl PicoUsd ===

impl PicoUsd {
    /// Price of one token, from the price of `tokens` tokens in US dollars. The price is exact.
    ///
    /// # Errors
    /// See [`PriceError`].
    pub fn per_token(usd: &str, tokens: u32) -> Result<Self, PriceError> {
        let (dollars, decimals) = usd.split_once('.').unwrap_or((usd, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(dollars) || !is_digits(decimals) {
            return Err(PriceError::NotANumber);
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > 12 {
            return Err(PriceError::TooFine);
        }
        let amount: u128 = format!("{dollars}{decimals:0<12}").parse().map_err(|_| PriceError::NotANumber)?;
        if !amount.is_multiple_of(u128::from(tokens)) {
            return Err(PriceError::TooFine);
        }
        u64::try_from(amount / u128::from(tokens)).map(Self).map_err(|_| PriceError::NotANumber)
    }

    /// Formats a price per token as price lists and the catalogue do: dollars per million tokens.
    #[must_use]
    pub fn per_million(self) -> String {
        let (dollars, millionths) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let text = format!("{dollars}.{millionths:06}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Sum of both amounts. Absent: an overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl TryFrom<String> for PicoUsd {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::per_token(&text, 1_000_000).map_err(|_| {
            format!(
                "\"{text}\" is not a price: write US dollars per million tokens, with at most six decimals"
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
    /// The number of tokens, at least 1.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_prices_exactly() {
        for (text, expected) in [
            ("0.00875", 8_750),
            ("0.035", 35_000),
            ("5", 5_000_000),
            ("27.50", 27_500_000),
            ("5.79425", 5_794_250),
            ("0.000001", 1),
            ("0", 0),
            ("18446744073709.551615", u64::MAX),
        ] {
            assert_eq!(PicoUsd::try_from(text.to_owned()), Ok(PicoUsd(expected)), "{text}");
        }
    }

    #[test]
    fn a_price_per_thousand_or_million_tokens_becomes_a_price_per_token() {
        for (usd, tokens, expected) in [
            ("0.0000350000", 1_000, 35_000),
            ("3.3000000000", 1_000_000, 3_300_000),
            ("0.00000875", 1_000, 8_750),
            ("27.5", 1_000_000, 27_500_000),
            ("0.0000000000", 1_000, 0),
            ("0.000000001", 1_000, 1),
        ] {
            assert_eq!(PicoUsd::per_token(usd, tokens), Ok(PicoUsd(expected)), "{usd}");
        }
    }

    #[test]
    fn refuses_prices_that_would_be_rounded() {
        for usd in ["0.0000000001", "0.0000000000001"] {
            assert_eq!(PicoUsd::per_token(usd, 1_000), Err(PriceError::TooFine), "{usd}");
        }
        for usd in ["", "-1", "1e3", ".5", "x", "99999999999999999999999999999999999999999"] {
            assert_eq!(PicoUsd::per_token(usd, 1_000), Err(PriceError::NotANumber), "{usd}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_price() {
        for text in [
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
            let problem = PicoUsd::try_from(text.to_owned()).expect_err(text);
            assert!(problem.starts_with(&format!("\"{text}\" is not a price")), "{problem}");
        }
    }

    #[test]
    fn formats_prices_as_they_are_parsed() {
        for text in ["0.00875", "0.035", "5", "27.5", "5.79425", "0.000001", "0", "10", "100"] {
            let price = PicoUsd::try_from(text.to_owned()).expect("is a price");
            assert_eq!(price.per_million(), text);
        }
    }

    #[test]
    fn an_overflow_has_no_amount() {
        assert_eq!(Tokens(3).cost(PicoUsd(5)), Some(PicoUsd(15)));
        assert_eq!(Tokens(2).cost(PicoUsd(u64::MAX)), None);
        assert_eq!(PicoUsd(u64::MAX).checked_add(PicoUsd(1)), None);
    }

    #[test]
    fn displays_dollars() {
        assert_eq!(PicoUsd(5_794_250).to_string(), "0.000005794250 USD");
        assert_eq!(PicoUsd(12_000_000_000_001).to_string(), "12.000000000001 USD");
    }
}
