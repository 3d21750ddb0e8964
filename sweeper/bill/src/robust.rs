//! Statistics that a few odd days do not move: medians, Theil–Sen slopes, the robust z.

use sweeper_core::money::Amount;

/// A robust z beyond this says nothing more, and is reported as this.
pub const MOST_Z: f64 = 999.0;

/// Zero of nothing; between the middle two when there are two, rounded towards zero.
pub fn median(mut amounts: Vec<Amount>) -> Amount {
    amounts.sort_unstable();
    match amounts.len() {
        0 => Amount::ZERO,
        count => (amounts[(count - 1) / 2] + amounts[count / 2]).scaled(1, 2),
    }
}

/// Zero of nothing; between the middle two when there are two.
pub fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

/// The Theil–Sen slope: the median of the slopes between all pairs of points (x, y). Zero below two points.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (index, (x, y)) in points.iter().enumerate() {
        slopes.extend(points[index + 1..].iter().filter(|(other, _)| other != x).map(|(u, v)| (v - y) / (u - x)));
    }
    middle(&mut slopes)
}

/// How values usually scatter, as a centre and a median absolute deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scatter {
    centre: f64,
    mad: f64,
}

impl Scatter {
    /// `least` is the smallest deviation that is believed: a flat series has a MAD of 0, against which
    /// everything is out of the ordinary.
    pub fn of(values: &mut [f64], least: f64) -> Self {
        let centre = middle(values);
        let mut spread: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
        Self { centre, mad: middle(&mut spread).max(least) }
    }

    /// 0.6745 · (x − median) / MAD (Iglewicz and Hoaglin 1993), not bounded.
    pub fn z(self, value: f64) -> f64 {
        let over = value - self.centre;
        // No spread at all, around nothing: anything is out of the ordinary.
        if self.mad == 0.0 { over.signum() * if over == 0.0 { 0.0 } else { MOST_Z } } else { 0.6745 * over / self.mad }
    }
}

/// z as reported: two decimals, between ±[`MOST_Z`].
pub fn reported(z: f64) -> f64 {
    (z.clamp(-MOST_Z, MOST_Z) * 100.0).round() / 100.0
}

/// In major units, for statistics only.
pub fn units(amount: Amount) -> f64 {
    amount.pico() as f64 / 1e12
}

/// `part` over `whole`, rounded to six decimals, half away from zero; `None` when `whole` is not above zero.
pub fn ratio(part: Amount, whole: Amount) -> Option<Amount> {
    if whole <= Amount::ZERO {
        return None;
    }
    let (part, whole) = (part.pico(), whole.pico());
    let millionths = part.checked_mul(1_000_000)?;
    let half = whole / 2 * millionths.signum();
    Some(Amount::from_pico((millionths.checked_add(half)? / whole).checked_mul(1_000_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_ignores_an_odd_point() {
        let mut points: Vec<(f64, f64)> = (0..7).map(|x| (f64::from(x), 2.0 * f64::from(x))).collect();
        points[3].1 = 1000.0;
        assert!((slope(&points) - 2.0).abs() < 1e-12);
        assert_eq!((slope(&[]), slope(&points[..1])), (0.0, 0.0));
    }

    #[test]
    fn a_flat_series_is_measured_by_its_floor() {
        let scatter = Scatter::of(&mut [0.0; 9], 10.0);
        assert!((scatter.z(100.0) - 6.745).abs() < 1e-9);
        let nothing = Scatter::of(&mut [0.0; 9], 0.0);
        assert_eq!((nothing.z(0.0), nothing.z(0.1), nothing.z(-0.1)), (0.0, MOST_Z, -MOST_Z));
    }

    #[test]
    fn shares_are_rounded_half_away_from_zero() {
        let share = |part: i64, whole: i64| ratio(Amount::whole(part), Amount::whole(whole)).map(|it| it.to_string());
        assert_eq!(share(30, 280).as_deref(), Some("0.107143"));
        assert_eq!(share(-2, 3).as_deref(), Some("-0.666667"));
        assert_eq!(share(1, 0), None);
    }
}
