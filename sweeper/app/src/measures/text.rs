//! The text format of Prometheus, version 0.0.4: what `/metrics` answers, text files hold, and a Pushgateway takes.

use super::{Measures, Value};
use std::fmt::Write as _;

impl Measures {
    /// What was measured, by name and labels: the same measures are the same bytes.
    pub fn prometheus(&self) -> String {
        let mut out = String::new();
        for (measure, series) in self.iter() {
            let name = measure.name;
            // Writing to a string cannot fail.
            let _ = writeln!(out, "# HELP {name} {}", measure.help.replace('\\', "\\\\").replace('\n', "\\n"));
            let _ = writeln!(out, "# TYPE {name} {}", measure.sort.name());
            for (values, value) in series {
                out.push_str(name);
                for (at, (label, text)) in measure.labels.iter().zip(values).enumerate() {
                    let begins = if at == 0 { '{' } else { ',' };
                    let _ = write!(out, "{begins}{label}=\"{}\"", escaped(text));
                }
                let ends = if measure.labels.is_empty() { " " } else { "} " };
                let _ = writeln!(out, "{ends}{}", written(*value));
            }
        }
        out
    }
}

/// A value of a label, as it stands between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn written(value: Value) -> String {
    match value {
        Value::Count(count) => count.to_string(),
        Value::Seconds(seconds) => seconds.to_string(),
        Value::Exact(amount) => amount.to_string(),
        Value::Share(_) => value.as_f64().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Measures, Value, catalogue as of};
    use sweeper_core::money::Amount;

    #[test]
    fn hostile_labels_are_inert_and_the_order_is_stable() {
        let mut measures = Measures::default();
        measures.set(&of::WASTE_FIRM, &["b\"\\\n{x=\"y\"} 1\u{1b}[31m", "disk"], Amount::parse("0.10").unwrap());
        measures.set(&of::WASTE_FIRM, &["a", "disk"], Amount::whole(3));
        measures.set(&of::EXIT, &[], 3_u64);
        measures.set(&of::GROWTH, &["disk"], Value::Share(f64::NAN));
        let text = measures.prometheus();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "sweeper_growth_ratio{class=\"disk\"} 0",
                "sweeper_run_exit_code 3",
                "sweeper_waste_firm_monthly_dollars{owner=\"a\",class=\"disk\"} 3",
                "sweeper_waste_firm_monthly_dollars{owner=\"b\\\"\\\\\\\\n{x=\\\"y\\\"} 1\\\\u{1b}[31m\",class=\"disk\"} 0.1",
            ]
        );
        assert_eq!(text.matches("# TYPE").count(), 3);
        assert_eq!(measures.clone().and(measures.clone()).prometheus(), text);
    }

    #[test]
    fn long_and_empty_values_have_an_end() {
        let mut measures = Measures::default();
        measures.add(&of::NOTICES, &[&"é".repeat(10_000), ""], 1_u64);
        measures.add(&of::NOTICES, &[&"é".repeat(9_999), ""], 2_u64);
        let text = measures.prometheus();
        let line = text.lines().last().unwrap();
        assert!(line.len() < 300 && line.ends_with("…\",outcome=\"none\"} 3"), "{line}");
    }
}
