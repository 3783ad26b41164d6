//! What failed, likely why, what to type next.

use super::page::{Line, Page};
use super::table::{Cell, Table};
use super::terminal::{Paint, Screen};
use super::text::clean;
use crate::api::problem::Problem;

/// A problem. CSV has it as one row.
#[must_use]
pub fn problem(screen: &Screen, problem: &Problem) -> Page {
    let mut page = Page::new("error");
    let message = clean_lines(screen, &problem.message);
    page.line(Line::new().painted(Paint::Bad, "error:").plain(format!(" {message}")));
    if let Some(cause) = &problem.likely_cause {
        page.line(format!("likely: {}", clean_lines(screen, cause)));
    }
    for peer in &problem.candidates {
        let name = peer.name.as_deref().map(|name| clean(screen, name)).unwrap_or_default();
        page.line(format!("        {} {name}", peer.id).trim_end());
    }
    if let Some(next) = &problem.next_command {
        page.line(Line::from("next:   ").code(clean_lines(screen, next)));
    }
    page.data(row(screen, problem));
    page
}

fn row(screen: &Screen, problem: &Problem) -> Table {
    let mut table = Table::new(["CODE", "MESSAGE", "LIKELY CAUSE", "NEXT COMMAND", "CANDIDATES"]);
    let one_line = |text: &str| {
        let lines: Vec<String> = text.lines().map(|line| clean(screen, line)).collect();
        Cell::new(lines.join("; "))
    };
    let maybe = |text: &Option<String>| text.as_deref().map_or_else(Cell::unknown, one_line);
    let candidates: Vec<&str> = problem.candidates.iter().map(|it| it.id.as_str()).collect();
    table.row([
        problem.code.word().into(),
        one_line(&problem.message),
        maybe(&problem.likely_cause),
        maybe(&problem.next_command),
        candidates.join(" ").into(),
    ]);
    table
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
        assert_eq!(problem(&screen(), &it).text(&screen()), expected);
    }
}
