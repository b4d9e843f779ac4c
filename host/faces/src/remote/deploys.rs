//! Manifests and components on their way to a host, which checks them by its own settings and presets.

use super::Remote;
use super::connection::Unanswered;
use super::place::at;
use crate::deploying::{Refused, Upload};
use crate::dto::deployment::Deployment;
use crate::dto::listed::Listed;
use crate::dto::policy_row::PolicyRow;
use fusebox_manifest::diagnostic::Diagnostic;
use reqwest::Method;
use reqwest::multipart::{Form, Part};

impl From<Unanswered> for Refused {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Problem(problem) => problem.refused(),
            Unanswered::Trouble(failure) => Self::Failure(failure),
        }
    }
}

impl Remote {
    pub(super) async fn deploys(&self, uploads: Vec<Upload>, accept: &[String]) -> Result<Vec<Deployment>, Refused> {
        let unread: Vec<_> = uploads.iter().flat_map(|upload| upload.unread.clone()).collect();
        // A host refuses a manifest without its component, and says what else is wrong; without its WIT source it would take it.
        if unread.iter().any(|(key, _)| *key != "component") {
            return Err(Refused::Findings(
                unread.into_iter().map(|(_, finding)| finding).collect(),
            ));
        }
        let accept = Some(accept.join(",")).filter(|accept| !accept.is_empty());
        let place = at(["tools"]).maybe("accept", accept);
        let request = self.connection.request(Method::POST, &place).multipart(form(uploads));
        let response = match self.connection.send(request).await.map_err(Refused::from) {
            Err(Refused::Findings(found)) => return Err(Refused::Findings(explained(found, &unread))),
            other => other?,
        };
        let deployed: Listed<Deployment> = self.connection.json(response).await?;
        Ok(deployed.items)
    }

    pub(super) async fn explains(&self, tool: &str, function: &str) -> Result<Vec<PolicyRow>, Refused> {
        let place = at(["tools", tool, "functions", function, "policy"]);
        let response = self.connection.fetch(&place, Some(super::connection::SHORT)).await?;
        let rows: Listed<PolicyRow> = self.connection.json(response).await?;
        Ok(rows.items)
    }
}

/// What is wrong, with the reason why a component could not be read in place of the host's word that it did not come.
fn explained(found: Vec<Diagnostic>, unread: &[(&'static str, Diagnostic)]) -> Vec<Diagnostic> {
    let better = |finding: Diagnostic| {
        let mut own = unread.iter().map(|(_, own)| own);
        let same = own.find(|own| own.code == finding.code && own.span == finding.span);
        same.cloned().unwrap_or(finding)
    };
    found.into_iter().map(better).collect()
}

/// Each manifest is followed by what goes with it: its component, and the files of its WIT source.
fn form(uploads: Vec<Upload>) -> Form {
    let mut form = Form::new();
    for upload in uploads {
        form = form.part("manifest", Part::text(upload.manifest).file_name(upload.source));
        if let Some(wasm) = upload.component {
            form = form.part("component", Part::stream(wasm).file_name("component.wasm"));
        }
        for (name, text) in upload.wit.into_iter().flatten() {
            form = form.part("wit", Part::text(text).file_name(name));
        }
    }
    form
}
