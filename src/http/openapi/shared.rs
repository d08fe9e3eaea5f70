//! Refusals that many operations answer with in the same words are written once, among the components.

use std::collections::BTreeMap;

use utoipa::openapi::{OpenApi, Ref, RefOr, Response};

use super::operations;

/// Moves the refusals into the components and refers to them. What one status says in several ways is numbered in the order
/// of the operations.
pub(super) fn share_refusals(document: &mut OpenApi) {
    let mut shared: BTreeMap<String, Vec<Response>> = BTreeMap::new();
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let refusals =
                operation.responses.responses.iter_mut().filter(|(status, _)| status.starts_with(['4', '5']));
            for (status, answer) in refusals {
                let RefOr::T(response) = &*answer else { continue };
                let known = shared.entry(status.clone()).or_default();
                let place = known.iter().position(|one| one == response).unwrap_or_else(|| {
                    known.push(response.clone());
                    known.len() - 1
                });
                *answer = RefOr::Ref(Ref::from_response_name(name(status, place)));
            }
        }
    }
    let all = shared.into_iter().flat_map(|(status, answers)| {
        answers.into_iter().enumerate().map(move |(place, answer)| (name(&status, place), RefOr::T(answer)))
    });
    document.components.get_or_insert_default().responses.extend(all);
}

fn name(status: &str, place: usize) -> String {
    match place {
        0 => format!("Refusal{status}"),
        more => format!("Refusal{status}_{}", more + 1),
    }
}
