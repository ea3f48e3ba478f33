//! One line of the report, and the whole table.
use std::fmt;

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The ratio of what was measured to what it is compared with is at least this.
    RatioAtLeast(f64),
    /// What was measured is at least this, in its unit.
    AtLeast(f64),
    /// What was measured is at most this, in its unit.
    AtMost(f64),
    /// What was measured is at most this much above what it is compared with.
    AtMostAbove(f64),
    /// Nothing was promised: the ratio is reported.
    None,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub measured: f64,
    /// Its unit, such as `msg/s`.
    pub unit: &'static str,
    /// What it is compared with: a name and a figure in the same unit.
    pub compared: Option<(String, f64)>,
    /// What must hold.
    pub goal: Goal,
}

impl Row {
    /// Measured by compared.
    pub fn ratio(&self) -> Option<f64> {
        let (_, compared) = self.compared.as_ref()?;
        (*compared != 0.0).then(|| self.measured / compared)
    }

    /// Whether the goal is met; `None` where there is none.
    pub fn is_met(&self) -> Option<bool> {
        let compared = self.compared.as_ref().map(|(_, figure)| *figure);
        match self.goal {
            Goal::RatioAtLeast(least) => Some(self.ratio().is_some_and(|ratio| ratio >= least)),
            Goal::AtLeast(least) => Some(self.measured >= least),
            Goal::AtMost(most) => Some(self.measured <= most),
            Goal::AtMostAbove(most) => Some(compared.is_some_and(|compared| self.measured - compared <= most)),
            Goal::None => None,
        }
    }

    fn goal(&self) -> String {
        match self.goal {
            Goal::RatioAtLeast(least) => format!("ratio ≥ {least}"),
            Goal::AtLeast(least) => format!("≥ {} {}", figure(least), self.unit),
            Goal::AtMost(most) => format!("≤ {} {}", figure(most), self.unit),
            Goal::AtMostAbove(most) => format!("≤ {} {} above", figure(most), self.unit),
            Goal::None => "–".into(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compared = self.compared.as_ref();
        let compared =
            compared.map_or("–".into(), |(name, other)| format!("{name}: {} {}", figure(*other), self.unit));
        // How many times as slow tells nothing about a delay that should be near zero: there, the difference does.
        let ratio = match (self.goal, &self.compared) {
            (Goal::AtMostAbove(_), Some((_, other))) => format!("{:+.1} {}", self.measured - other, self.unit),
            _ => self.ratio().map_or("–".into(), |ratio| format!("{ratio:.2}")),
        };
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        let measured = format!("{} {}", figure(self.measured), self.unit);
        write!(formatter, "| {} | {measured} | {compared} | {ratio} | {} | {met} |", self.what, self.goal())
    }
}

/// All rows, as Markdown.
pub fn table(rows: &[Row]) -> String {
    let head = "| what | measured | compared with | ratio | goal | met |\n|---|---|---|---|---|---|";
    rows.iter().fold(head.to_owned(), |table, row| format!("{table}\n{row}"))
}

/// `1,234,567`, `12.3`, `0.45`: as many digits as mean something.
fn figure(number: f64) -> String {
    if number.abs() < 100.0 {
        let shown = if number.abs() < 1.0 { format!("{number:.2}") } else { format!("{number:.1}") };
        return shown.strip_suffix(".0").map_or_else(|| shown.clone(), str::to_owned);
    }
    let digits = format!("{:.0}", number.abs());
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    if number < 0.0 { format!("-{shown}") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(measured: f64, compared: Option<f64>, goal: Goal) -> Row {
        let compared = compared.map(|figure| ("bare loop".to_owned(), figure));
        Row { what: "throughput".into(), measured, unit: "msg/s", compared, goal }
    }

    #[test]
    fn a_goal_is_met_at_its_border_and_missed_beyond_it() {
        let met = |measured, compared, goal| row(measured, compared, goal).is_met();
        assert_eq!(met(90.0, Some(100.0), Goal::RatioAtLeast(0.9)), Some(true));
        assert_eq!(met(89.0, Some(100.0), Goal::RatioAtLeast(0.9)), Some(false));
        assert_eq!(met(89.0, None, Goal::RatioAtLeast(0.9)), Some(false), "nothing to compare with is no success");
        assert_eq!(met(89.0, Some(0.0), Goal::RatioAtLeast(0.9)), Some(false));
        assert_eq!(met(80.0, None, Goal::AtMost(80.0)), Some(true));
        assert_eq!(met(80.1, None, Goal::AtMost(80.0)), Some(false));
        assert_eq!(met(1e6, None, Goal::AtLeast(1e6)), Some(true));
        assert_eq!(met(7.0, Some(2.0), Goal::AtMostAbove(5.0)), Some(true));
        assert_eq!(met(7.1, Some(2.0), Goal::AtMostAbove(5.0)), Some(false));
        assert_eq!(met(1.0, Some(2.0), Goal::None), None);
    }

    #[test]
    fn a_row_shows_everything() {
        let shown = row(1090.4, Some(1155.0), Goal::RatioAtLeast(0.9)).to_string();
        assert_eq!(shown, "| throughput | 1,090 msg/s | bare loop: 1,155 msg/s | 0.94 | ratio ≥ 0.9 | yes |");
        let shown = row(6.2, Some(2.0), Goal::AtMostAbove(3.0)).to_string();
        assert_eq!(shown, "| throughput | 6.2 msg/s | bare loop: 2 msg/s | +4.2 msg/s | ≤ 3 msg/s above | **no** |");
        assert!(row(0.5, None, Goal::None).to_string().ends_with("| 0.50 msg/s | – | – | – | – |"));
    }

    #[test]
    fn figures_have_as_many_digits_as_mean_something() {
        let shown = [1_234_567.8, 999.5, 100.0, 99.94, 12.34, 0.456, -0.3, -1500.0, 5.0].map(figure);
        assert_eq!(shown, ["1,234,568", "1,000", "100", "99.9", "12.3", "0.46", "-0.30", "-1,500", "5"]);
    }
}
