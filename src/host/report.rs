//! Report on a host: findings for people and for programs.

use serde::Serialize;

use super::measure::Measured;

/// What is thought of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing to do.
    Good,
    /// It costs something, and can be changed.
    Look,
    /// The machine does not say.
    Unknown,
}

/// One thing of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The thing.
    pub name: &'static str,
    /// What is thought of it.
    pub verdict: Verdict,
    /// What is.
    pub is: String,
    /// What it costs, or would.
    pub cost: String,
    /// The figure of that on this machine, measured just now; `null` where none could be.
    pub measured: Option<String>,
    /// What changes it, for a person to run.
    pub commands: Vec<String>,
}

impl Finding {
    /// Nothing to do about it.
    pub(super) fn good(name: &'static str, is: impl Into<String>) -> Self {
        let (is, cost) = (is.into(), String::new());
        Self { name, verdict: Verdict::Good, is, cost, measured: None, commands: Vec::new() }
    }

    /// The machine does not say, because of this.
    pub(super) fn unknown(name: &'static str, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, ..Self::good(name, why) }
    }

    /// It costs this, and these commands change it.
    pub(super) fn look<const N: usize>(
        name: &'static str,
        is: impl Into<String>,
        cost: &str,
        commands: [&str; N],
    ) -> Self {
        let commands = commands.map(str::to_owned).into();
        let cost = cost.to_owned();
        Self { verdict: Verdict::Look, cost, commands, ..Self::good(name, is) }
    }

    /// With the figure that was measured, if one was.
    pub(super) fn with(self, measured: Option<String>) -> Self {
        Self { measured, ..self }
    }
}

/// A duration for people.
pub(super) fn micros(nanos: u64) -> String {
    format!("{}.{} us", nanos / 1_000, nanos % 1_000 / 100)
}

/// A share for people, from thousandths.
pub(super) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One thing each.
    pub findings: Vec<Finding>,
    /// The figures.
    pub measured: Measured,
}

impl Report {
    /// For people: what is to be looked at stands with what it costs and what changes it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for finding in &self.findings {
            let Finding { name, verdict, is, cost, measured, commands } = finding;
            let mark = match verdict {
                Verdict::Good => "ok",
                Verdict::Look => "look",
                Verdict::Unknown => "?",
            };
            lines.push(format!("{mark:<6}{name}: {is}"));
            match (verdict, measured) {
                (Verdict::Look, Some(figure)) => {
                    lines.push(format!("      costs    {cost}"));
                    lines.push(format!("      measured {figure}"));
                }
                (Verdict::Look, None) => {
                    lines.push(format!("      costs    {cost}; not measured here"));
                }
                (_, Some(figure)) => lines.push(format!("      measured {figure}")),
                _ => {}
            }
            lines.extend(commands.iter().map(|command| format!("      change   {command}")));
        }
        let count = self.findings.iter().filter(|it| it.verdict == Verdict::Look).count();
        lines.push(match count {
            0 => "nothing to do".to_owned(),
            count => format!("{count} to look at; nothing was changed"),
        });
        lines.join("\n") + "\n"
    }

    /// For programs.
    ///
    /// # Errors
    /// In words for people; there is no reason for one that is known.
    pub fn json(&self) -> Result<String, String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        Ok(text + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_what_to_look_at_with_its_cost_and_the_command_and_no_figure_that_nobody_measured()
    {
        let look = Finding::look("a", "is so", "time", ["do this", "and that"]);
        let measured = Measured::default();
        let findings = vec![
            Finding::good("b", "fine").with(Some("3 us".to_owned())),
            look.clone(),
            look.with(Some("7 us".to_owned())),
            Finding::unknown("c", "not told"),
        ];
        let text = Report { findings, measured }.text();
        let expected = "ok    b: fine\n      measured 3 us\nlook  a: is so\n      \
                        costs    time; not measured here\n      change   do this\n      \
                        change   and that\nlook  a: is so\n      costs    time\n      \
                        measured 7 us\n      change   do this\n      change   and that\n\
                        ?     c: not told\n2 to look at; nothing was changed\n";
        assert_eq!(text, expected);
    }
}
