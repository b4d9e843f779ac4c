//! `fusebox doctor`: everything that Fusebox needs, and what is not well.

use super::wiring::State;
use super::{Context, Failed};

/// Runs the command.
///
/// # Errors
/// [`Failed::Unwell`] when something is not well.
pub(super) async fn run(cx: &mut Context<'_>) -> Result<(), Failed> {
    let found = cx.wiring.checkup().await;
    cx.out.rows(&["what", "state", "found", "help"], &found, |checkup| {
        let state = match checkup.state {
            State::Well => "well",
            State::Note => "note",
            State::Unwell => "UNWELL",
        };
        vec![
            checkup.what.clone(),
            state.to_owned(),
            checkup.found.clone(),
            checkup.help.clone().unwrap_or_default(),
        ]
    })?;
    if found.iter().any(|checkup| checkup.state == State::Unwell) {
        return Err(Failed::Unwell);
    }
    Ok(())
}
