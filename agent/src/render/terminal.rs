//! What a screen can show, and how words get their colours.

use std::env;
use std::io::IsTerminal;

use crate::api::schema::State;
use crate::time::WallTime;

/// What is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Colours may be used. They never say anything alone.
    pub color: bool,
    /// Characters beyond ASCII may be used.
    pub unicode: bool,
    /// Columns; `None` if nothing limits a line.
    pub width: Option<usize>,
    /// Full ids and all columns were asked for.
    pub wide: bool,
    /// Peers without a name, too, are called by their full ids: for files, which nobody can ask back.
    pub full_ids: bool,
    /// What ages are counted to.
    pub now: WallTime,
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// Not known.
    Unknown,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// A step of the heat ramp, 0 to 9.
    Heat(u8),
}

/// Background of each heat step in the 256 colour palette: near the viridis ramp, which rises in
/// brightness throughout, so that it reads alike for colour-blind people and on a grey screen.
const HEAT: [u8; 10] = [53, 54, 61, 31, 36, 72, 77, 148, 184, 226];
/// Heat steps on which white text reads better than black.
const DARK_STEPS: u8 = 4;

impl Screen {
    /// Writes `text` in a colour, if there are any.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", paint.code())
        } else {
            text.to_owned()
        }
    }

    /// The sign that stands before a state.
    #[must_use]
    pub const fn glyph(&self, state: State) -> &'static str {
        let (fancy, plain) = match state {
            State::Up => ("●", "+"),
            State::Suspect => ("◐", "?"),
            State::Flapping => ("≈", "~"),
            State::Asleep => ("☾", "z"),
            State::Unreachable => ("○", "o"),
            State::Down => ("✖", "x"),
            State::Left => ("–", "-"),
        };
        if self.unicode { fancy } else { plain }
    }

    /// An arrow from observer to subject.
    #[must_use]
    pub const fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }
}

impl Paint {
    /// The colour of a state.
    #[must_use]
    pub const fn of_state(state: State) -> Self {
        match state {
            State::Up => Self::Good,
            State::Suspect | State::Flapping => Self::Warn,
            State::Asleep | State::Left => Self::Dim,
            State::Unreachable => Self::Unknown,
            State::Down => Self::Bad,
        }
    }

    fn code(self) -> String {
        let plain = match self {
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Unknown => "35",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Heat(step) => {
                let back = HEAT.get(usize::from(step)).copied().unwrap_or(0);
                let front = if step < DARK_STEPS { 231 } else { 16 };
                return format!("38;5;{front};48;5;{back}");
            }
        };
        plain.to_owned()
    }
}

/// What of the environment decides on colour and characters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment {
    /// Standard output is a terminal.
    pub terminal: bool,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set and neither empty nor 0.
    pub force_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
    /// The locale is UTF-8.
    pub utf8: bool,
}

impl Environment {
    /// Of this process and its standard output.
    #[must_use]
    pub fn here() -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let text = |name| env::var(name).unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .map(text)
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_ascii_lowercase();
        Self {
            terminal: std::io::stdout().is_terminal(),
            no_color: set("NO_COLOR"),
            force_color: set("CLICOLOR_FORCE") && text("CLICOLOR_FORCE") != "0",
            dumb: text("TERM") == "dumb",
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// Whether colour is used unless it was asked for or ruled out.
    #[must_use]
    pub const fn wants_color(self) -> bool {
        !self.no_color && (self.force_color || (self.terminal && !self.dumb))
    }
}

/// Columns of the terminal that standard output is; `None` if it is none.
#[must_use]
pub fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_wins_then_force_then_the_terminal() {
        let terminal = Environment { terminal: true, ..Environment::default() };
        assert!(terminal.wants_color());
        assert!(!Environment { dumb: true, ..terminal }.wants_color());
        assert!(!Environment::default().wants_color());
        let forced = Environment { force_color: true, ..Environment::default() };
        assert!(forced.wants_color());
        assert!(!Environment { no_color: true, ..forced }.wants_color());
    }
}
