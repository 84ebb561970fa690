//! Somebody who was sent a question: it can read it, and may come to be who answers.

use crate::port::MessageView;
use privacyai::identity::ProviderId;

/// Whom, and why.
pub(super) struct Asked {
    pub(super) provider: ProviderId,
    pub(super) name: Option<String>,
    pub(super) model: String,
    /// Why this one, where the choice was ours.
    pub(super) why: Option<String>,
}

impl Asked {
    /// Names it among the readers, and as who answers unless another one has accepted and this one has not. It accepted
    /// so many ms after the question, or was only sent it. True where it is named as who answers.
    pub(super) fn note(self, view: &mut MessageView, accepted: Option<u32>) -> bool {
        let id = self.provider.to_string();
        let asked = view.asked.get_or_insert_default();
        if !asked.iter().any(|(known, _)| *known == id) {
            asked.push((id.clone(), self.name.clone().unwrap_or_else(|| self.provider.fingerprint())));
        }
        let answers = accepted.is_some() || view.accept_ms.is_none();
        if answers {
            (view.provider, view.provider_name) = (Some(id), self.name);
            (view.model, view.why) = (Some(self.model), self.why);
        }
        view.accept_ms = view.accept_ms.or(accepted);
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(view: &mut MessageView, name: &str, accepted: Option<u32>) -> String {
        let asked = Asked {
            provider: ProviderId([name.as_bytes()[0]; 32]),
            name: Some(name.into()),
            model: "m".into(),
            why: Some(format!("{name} is good")),
        };
        asked.note(view, accepted);
        assert_eq!(view.why, view.provider_name.as_ref().map(|name| format!("{name} is good")));
        view.provider_name.clone().unwrap_or_default()
    }

    #[test]
    fn who_accepted_answers_until_another_accepts_and_all_can_read() {
        let mut view = MessageView::default();
        assert_eq!(note(&mut view, "Fjord", None), "Fjord");
        assert_eq!(note(&mut view, "Kestrel", None), "Kestrel", "Fjord is silent");
        assert_eq!(note(&mut view, "Fjord", Some(900)), "Fjord");
        assert_eq!(note(&mut view, "Marta", None), "Fjord", "Marta is asked as well");
        assert_eq!(note(&mut view, "Marta", Some(1_400)), "Marta", "and speaks first");
        assert_eq!(view.accept_ms, Some(900));
        let names: Vec<String> = view.asked.unwrap_or_default().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["Fjord", "Kestrel", "Marta"]);
    }
}
