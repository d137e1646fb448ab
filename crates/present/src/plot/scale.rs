//! From numbers to pixels along a line, with ticks at round numbers.

use super::Undrawable;

/// Numbers between two ends, shown between two places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    left: f64,
    right: f64,
}

impl Scale {
    /// The numbers from least to most of these, between two places.
    pub(super) fn new(
        numbers: impl IntoIterator<Item = f64>,
        (left, right): (f64, f64),
    ) -> Result<Self, Undrawable> {
        let ends = numbers.into_iter().fold(None, |ends: Option<(f64, f64)>, number| {
            Some(ends.map_or((number, number), |(from, to)| (from.min(number), to.max(number))))
        });
        let (mut from, mut to) = ends.unwrap_or((0.0, 0.0));
        if from >= to {
            let around = if from == 0.0 { 1.0 } else { from.abs() / 2.0 };
            (from, to) = (from - around, to + around);
        }
        // The least float is no number to divide by.
        if !(to - from).is_finite() || to - from < f64::MIN_POSITIVE / f64::EPSILON {
            return Err(Undrawable::OutOfScale);
        }
        Ok(Self { from, to, left, right })
    }

    /// The place of a number.
    pub(super) fn at(&self, number: f64) -> f64 {
        self.left + (number - self.from) / (self.to - self.from) * (self.right - self.left)
    }

    /// Round numbers on the scale and beyond its ends as far as `room` pixels reach, about one every hundred pixels, as they are written.
    pub(super) fn ticks(&self, room: f64) -> Vec<(f64, String)> {
        let per_pixel = (self.to - self.from) / (self.right - self.left);
        let (from, to) = (self.from - room * per_pixel, self.to + room * per_pixel);
        let rough = 100.0 * per_pixel;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let decimals = (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
        let (first, last) = ((from / step).ceil(), (to / step).floor());
        // Numbers so far from 0 that a step is lost in rounding have no ticks.
        if !first.is_finite() || !last.is_finite() || first.abs().max(last.abs()) > 1e15 {
            return Vec::new();
        }
        let count = (last - first) as usize + 1;
        (0..count.min(64))
            .map(|place| {
                let number = (first + place as f64) * step;
                let number = if number == 0.0 { 0.0 } else { number };
                let text = match (1e-5..1e7).contains(&step) {
                    true => format!("{number:.decimals$}"),
                    false if number == 0.0 => "0".into(),
                    false => format!("{number:.1e}"),
                };
                (number, minus(&text))
            })
            .collect()
    }
}

/// A number of so many significant digits, with a true minus.
pub(super) fn number(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return minus(&value.abs().to_string());
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..7.0).contains(&magnitude) {
        return minus(&format!("{value:.*e}", digits.saturating_sub(1)));
    }
    let decimals = (digits as f64 - 1.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    minus(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
}

/// The same with its sign.
pub(super) fn signed(value: f64) -> String {
    let text = number(value, 3);
    if value > 0.0 { format!("+{text}") } else { text }
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(numbers: [f64; 2], width: f64) -> Vec<String> {
        let scale = Scale::new(numbers, (0.0, width)).unwrap();
        scale.ticks(0.0).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels([0.0, 1.0], 500.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels([-0.31, 0.42], 400.0), ["−0.2", "0.0", "0.2", "0.4"]);
        assert_eq!(labels([-3000.0, 12_000.0], 300.0), ["0", "5000", "10000"]);
        assert_eq!(labels([0.0, 2e-9], 200.0), ["0", "1.0e−9", "2.0e−9"]);
        assert_eq!(labels([1e17, 1e17 + 64.0], 300.0), [""; 0]);
    }

    #[test]
    fn a_scale_of_one_number_has_width() {
        let scale = Scale::new([3.0], (0.0, 100.0)).unwrap();
        assert_eq!((scale.at(1.5), scale.at(3.0), scale.at(4.5)), (0.0, 50.0, 100.0));
        assert!(Scale::new([0.0, 5e-324], (0.0, 100.0)).is_err());
        assert!(Scale::new([-1e308, 1e308], (0.0, 100.0)).is_err());
    }

    #[test]
    fn numbers_are_short() {
        for (value, digits, expected) in [
            (0.123_456, 3, "0.123"),
            (-0.5, 3, "−0.5"),
            (1234.5, 3, "1234"),
            (12.0, 4, "12"),
            (0.000_012_3, 3, "1.23e−5"),
            (9_999.6, 4, "10000"),
            (-0.0, 3, "0"),
            (123_456_789.0, 4, "1.235e8"),
        ] {
            assert_eq!(number(value, digits), expected, "{value}");
        }
        assert_eq!((signed(0.5), signed(-0.5), signed(0.0)), ("+0.5".into(), "−0.5".into(), "0".into()));
    }
}
