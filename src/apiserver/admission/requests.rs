//! Requests for certificates: who asks is written down by the server, and what was asked for stays as it was.
//! Upstream rule: k8s.io/kubernetes `pkg/registry/certificates/certificates/strategy.go`.

use serde_json::Value;

use crate::auth::User;
use crate::auth::token_reviews::user_info;
use crate::object;

/// What tells who asks.
const ASKER: [&str; 4] = ["username", "uid", "groups", "extra"];

pub(super) fn admit(user: &User, old: Option<&Value>, request: &mut Value) {
    if let Some(old) = old {
        request["spec"] = old["spec"].clone();
        return;
    }
    let mut info = user_info(user);
    for field in ASKER {
        object::set_or_remove(&mut request["spec"], field, info[field].take());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_asker_is_who_asks() {
        let mut request = json!({"spec": {"signerName": "a/b", "username": "root", "uid": "0", "extra": {"k": ["v"]}}});
        admit(&User::authenticated("jane", &["dev"]), None, &mut request);
        let groups = ["dev", "system:authenticated"];
        assert_eq!(request["spec"], json!({"signerName": "a/b", "username": "jane", "groups": groups}));
        let mut later = json!({"spec": {"signerName": "c/d"}});
        admit(&User::authenticated("root", &[]), Some(&request), &mut later);
        assert_eq!(later["spec"], request["spec"]);
    }
}
