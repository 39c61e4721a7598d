//! The stages of IDENTIFY, from what an edge shows to its operators.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Context as _, Outcome};

/// The time spent so far in each stage, and how often.
#[derive(Clone, Debug, Default)]
pub struct Stages(BTreeMap<String, (Duration, u64)>);

impl Stages {
    /// Reads an edge's metrics.
    pub fn read(metrics: &str) -> Outcome<Self> {
        let mut stages = Self::default();
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix("natter_identify_stage_seconds_") else { continue };
            let Some((kind, rest)) = rest.split_once("{stage=\"") else { continue };
            let (stage, value) = rest.split_once("\"} ").during(line)?;
            let spent = stages.0.entry(stage.to_owned()).or_default();
            match kind {
                "sum" => spent.0 = Duration::from_secs_f64(value.parse().during(line)?),
                "count" => spent.1 = value.parse().during(line)?,
                _ => {}
            }
        }
        Ok(stages)
    }

    /// What was spent after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let spent = self.0.iter().map(|(stage, (time, count))| {
            let (before, times) = earlier.0.get(stage).copied().unwrap_or_default();
            (stage.clone(), (time.saturating_sub(before), count - times))
        });
        Self(spent.filter(|(_, (_, count))| *count > 0).collect())
    }

    /// Each stage and its time.
    pub fn each(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.0.iter().map(|(stage, (time, _))| (stage.as_str(), *time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sums_and_what_was_added_to_them() {
        let text = |sum: f64, count: u64| {
            format!(
                "# TYPE natter_identify_stage_seconds histogram\n\
                 natter_identify_stage_seconds_bucket{{stage=\"list\",le=\"0.001\"}} 1\n\
                 natter_identify_stage_seconds_sum{{stage=\"list\"}} {sum}\n\
                 natter_identify_stage_seconds_count{{stage=\"list\"}} {count}\n\
                 natter_identify_seconds_sum{{ok=\"true\"}} 7\n"
            )
        };
        let (before, after) = (Stages::read(&text(0.5, 1)).unwrap(), Stages::read(&text(0.75, 2)));
        let spent = after.unwrap().since(&before);
        let spent: Vec<_> = spent.each().collect();
        assert_eq!(spent, [("list", Duration::from_millis(250))]);
        assert_eq!(before.since(&before).each().count(), 0);
    }
}
