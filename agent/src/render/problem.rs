//! What failed, likely why, what to type next.

use super::terminal::{Paint, Screen};
use super::text::clean;
use crate::api::problem::Problem;

/// A problem as lines for standard error.
#[must_use]
pub fn problem(screen: &Screen, problem: &Problem) -> String {
    let mut lines = format!(
        "{} {}\n",
        screen.paint(Paint::Bad, "error:"),
        clean_lines(screen, &problem.message)
    );
    if let Some(cause) = &problem.likely_cause {
        lines.push_str(&format!("likely: {}\n", clean_lines(screen, cause)));
    }
    for peer in &problem.candidates {
        let name = peer.name.as_deref().map(|name| clean(screen, name)).unwrap_or_default();
        lines.push_str(format!("        {} {name}", peer.id).trim_end());
        lines.push('\n');
    }
    if let Some(next) = &problem.next_command {
        lines.push_str(&format!("next:   {}\n", clean_lines(screen, next)));
    }
    lines
}

/// Keeps line ends, which causes of several lines have, and nothing else that is not to be printed.
fn clean_lines(screen: &Screen, text: &str) -> String {
    text.lines().map(|line| clean(screen, line)).collect::<Vec<_>>().join("\n        ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Code;
    use crate::render::sample::screen;

    #[test]
    fn a_problem_says_what_failed_why_and_what_next() {
        let it = Problem::new(Code::NoAgent, "no agent answers")
            .because("none runs")
            .then("plexmesh run");
        let expected = "error: no agent answers\nlikely: none runs\nnext:   plexmesh run\n";
        assert_eq!(problem(&screen(), &it), expected);
    }
}
