//! From the numbers of bills to whole units of 10⁻¹², exactly.
//!
//! A double is taken as the shortest decimal that reads back as it, which is what its writer meant: 0.1 is 0.1. A
//! decimal and a text are taken as they are. Digits beyond the twelfth decimal are rounded half away from zero.
//! Nothing after this is rounded again, so sums are the same in any order.

use sweeper_core::money::Amount;

/// Far above any bill, far below where sums of many rows would overflow: 10¹⁵ major units.
const MOST: i128 = 1_000_000_000_000_000 * UNIT;
const UNIT: i128 = 1_000_000_000_000;
/// 10⁰ to 10¹⁸, all that fit 64 bits.
const TENS: [u64; 19] = {
    let mut tens = [1; 19];
    let mut power = 1;
    while power < tens.len() {
        tens[power] = tens[power - 1] * 10;
        power += 1;
    }
    tens
};

/// The units of a double; `None` when it is not a finite number or larger than any bill.
#[inline]
pub(crate) fn of_double(value: f64) -> Option<i128> {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = (bits >> 52) & 0x7ff;
    if exponent == 0x7ff {
        return None;
    }
    // value = mantissa / 2^shift
    let (mantissa, shift) = if exponent == 0 { (fraction, 1074) } else { (fraction | 1 << 52, 1075 - exponent as i64) };
    if mantissa == 0 || shift > 100 {
        // Below 2⁻⁴⁷, which rounds to nothing.
        return Some(0);
    }
    if shift <= 0 {
        return None;
    }
    // The shortest decimal lies within half a unit of the last place. Where both ends of that round to the same, so
    // does it.
    let product = u128::from(mantissa) * UNIT as u128;
    let (reach, half) = (UNIT as u128 / 2, 1_u128 << (shift - 1));
    let low = (product - reach + half) >> shift;
    let high = (product + reach + half) >> shift;
    let size = if low == high { low as i128 } else { shortest(value.abs())? };
    if size > MOST {
        return None;
    }
    Some(if bits >> 63 == 0 { size } else { -size })
}

#[cold]
fn shortest(value: f64) -> Option<i128> {
    Amount::parse(&format!("{value:e}")).map(Amount::pico)
}

/// The units of a float of 32 bits.
pub(crate) fn of_float(value: f32) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    bounded(Amount::parse(&format!("{value:e}"))?.pico())
}

/// The units of `value` × 10^-`scale`.
#[inline]
pub(crate) fn of_decimal(value: i128, scale: i8) -> Option<i128> {
    let shift = 12 - i32::from(scale);
    let units = if shift >= 0 {
        value.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?)?
    } else {
        match 10_u128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => {
                let size = value.unsigned_abs();
                let rounded = size / divisor + u128::from(size % divisor >= divisor - divisor / 2);
                i128::try_from(rounded).ok()? * value.signum()
            }
            None => 0,
        }
    };
    bounded(units)
}

/// The units of a plain or scientific decimal.
#[inline]
pub(crate) fn of_text(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    // Eighteen digits fit 64 bits; nearly every number has fewer, not counting the zeros that it starts with.
    if digits.len() <= 24 {
        let (mut value, mut seen, mut any, mut point) = (0_u64, 0, false, None);
        for (index, byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
                any = true;
                seen += u32::from(seen > 0 || digit > 0);
            } else if *byte == b'.' && point.is_none() {
                point = Some(index);
            } else {
                return slow(text);
            }
        }
        if !any {
            return None;
        }
        if seen <= 18 {
            let decimals = point.map_or(0, |at| digits.len() - at - 1);
            let size = if decimals <= 12 {
                i128::from(value) * i128::from(TENS[12 - decimals])
            } else {
                let divisor = TENS[decimals - 12];
                i128::from(value / divisor + u64::from(value % divisor >= divisor / 2))
            };
            return bounded(if negative { -size } else { size });
        }
    }
    slow(text)
}

#[cold]
fn slow(text: &[u8]) -> Option<i128> {
    bounded(Amount::parse(std::str::from_utf8(text).ok()?)?.pico())
}

fn bounded(units: i128) -> Option<i128> {
    (-MOST..=MOST).contains(&units).then_some(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<i128> {
        Amount::parse(text).map(Amount::pico).filter(|units| (-MOST..=MOST).contains(units))
    }

    fn by_text(value: f64) -> Option<i128> {
        parsed(&format!("{value:e}"))
    }

    #[test]
    fn doubles_are_what_they_were_written_as() {
        for (value, units) in [
            (0.1, 100_000_000_000),
            (-0.1, -100_000_000_000),
            (0.3, 300_000_000_000),
            (1e-12, 1),
            (5e-13, 1),
            (4.999e-13, 0),
            (-5e-13, -1),
            (0.0, 0),
            (-0.0, 0),
            (f64::MIN_POSITIVE, 0),
            (5e-324, 0),
            (8192.1, 8_192_100_000_000_000),
            (123_456_789.01, 123_456_789_010_000_000_000),
            (1e15, MOST),
        ] {
            assert_eq!(of_double(value), Some(units), "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.1e15, 1e300, f64::MAX] {
            assert_eq!(of_double(value), None, "{value}");
        }
        assert_eq!(of_float(0.1), Some(100_000_000_000));
        assert_eq!(of_float(f32::NAN), None);
    }

    #[test]
    fn decimals_are_taken_as_they_are() {
        for (value, scale, units) in [
            (1, 0, UNIT),
            (15, 1, 15 * UNIT / 10),
            (5, 13, 1),
            (-5, 13, -1),
            (4, 13, 0),
            (-15, 13, -2),
            (3, -2, 300 * UNIT),
        ] {
            assert_eq!(of_decimal(value, scale), Some(units), "{value} {scale}");
        }
        assert_eq!(of_decimal(i128::MAX, 0), None);
        assert_eq!(of_decimal(i128::MIN, 12), None);
        assert_eq!(of_decimal(i128::MAX, 76), Some(0));
    }

    #[test]
    fn texts_are_read_or_refused() {
        for text in ["", "-", ".", "1.2.3", "NaN", "inf", "1,5", "0x10", "1e40", "--1", "1_0", " 1"] {
            assert_eq!(of_text(text.as_bytes()), if text == " 1" { Some(UNIT) } else { None }, "{text}");
        }
        assert_eq!(of_text(b"+1."), Some(UNIT));
        assert_eq!(of_text(b"1e3"), Some(1000 * UNIT));
    }

    proptest! {
        #[test]
        fn every_double_equals_its_text(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(of_double(value), by_text(value));
            }
        }

        #[test]
        fn doubles_of_bills_equal_their_text(value in prop_oneof![-10.0..10.0, -1e-9..1e-9, -1e5..1e5, -1e15..1e15]) {
            prop_assert_eq!(of_double(value), by_text(value));
        }

        #[test]
        fn halves_are_rounded_as_in_text(units in 0_u64..10_000_000_000_000_000, half in 0_u32..2) {
            let text = format!("{}e-13", units * 10 + u64::from(half) * 5);
            let value: f64 = text.parse().unwrap();
            prop_assert_eq!(of_double(value), by_text(value));
        }

        #[test]
        fn texts_equal_the_careful_reading(text in "-?[0-9]{0,14}\\.?[0-9]{0,22}(e-?[0-9]{1,2})?") {
            prop_assert_eq!(of_text(text.as_bytes()), parsed(&text));
        }
    }
}
