//! The users and groups that an image names in its own /etc. Reading only; what cannot be read is skipped, as libc does.
//! Upstream rules: moby/sys `user` (`GetExecUser`) and containerd `pkg/oci` (`WithUser`, `WithAdditionalGIDs`).

/// `/etc/passwd` and `/etc/group` of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// Reads the two files.
    pub(super) fn read(passwd: &str, group: &str) -> Self {
        let user = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            Some(User {
                name: (*fields.first()?).to_owned(),
                uid: fields.get(2)?.parse().ok()?,
                gid: fields.get(3)?.parse().ok()?,
                home: fields.get(5).copied().unwrap_or_default().to_owned(),
            })
        };
        let group_of = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let members = fields.get(3).copied().unwrap_or_default().split(',').filter(|name| !name.is_empty());
            Some(Group {
                name: (*fields.first()?).to_owned(),
                gid: fields.get(2)?.parse().ok()?,
                members: members.map(str::to_owned).collect(),
            })
        };
        Self { users: passwd.lines().filter_map(user).collect(), groups: group.lines().filter_map(group_of).collect() }
    }

    /// The ids that `USER` of an image means: `user[:group]`, each a name or a number. Nothing means root.
    pub(crate) fn resolve(&self, text: &str) -> Result<(u32, u32), String> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let known = self.users.iter().find(|known| known.name == user);
        let (uid, own_group) = match (known, user.parse::<u32>()) {
            (Some(known), _) => (known.uid, known.gid),
            (None, Ok(uid)) => (uid, self.group_of(uid)),
            (None, Err(_)) if user.is_empty() => (0, self.group_of(0)),
            (None, Err(_)) => return Err(format!("unable to find user {user}: no matching entries in passwd file")),
        };
        let Some(group) = group.filter(|group| !group.is_empty()) else { return Ok((uid, own_group)) };
        let known = self.groups.iter().find(|known| known.name == group).map(|known| known.gid);
        let gid = known.or_else(|| group.parse().ok());
        gid.map(|gid| (uid, gid))
            .ok_or_else(|| format!("unable to find group {group}: no matching entries in group file"))
    }

    /// The first group of a user; root's where the image does not know the user.
    pub(crate) fn group_of(&self, uid: u32) -> u32 {
        self.users.iter().find(|user| user.uid == uid).map_or(0, |user| user.gid)
    }

    /// The further groups of a user.
    pub(crate) fn further_groups(&self, uid: u32) -> Vec<u32> {
        let Some(user) = self.users.iter().find(|user| user.uid == uid) else { return Vec::new() };
        let own = self.groups.iter().filter(|group| group.members.contains(&user.name));
        own.map(|group| group.gid).collect()
    }

    /// The home folder of a user.
    pub(crate) fn home(&self, uid: u32) -> &str {
        let home = self.users.iter().find(|user| user.uid == uid).map(|user| user.home.as_str());
        home.filter(|home| !home.is_empty()).unwrap_or("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_by_name_and_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# a comment\napp:x:1000:1001::/home/app:\nbare:x:7:8\n";
        let group = "root:x:0:\napp:x:1001:\nlog:x:50:app,other\nwheel:x:10:root\n";
        let accounts = Accounts::read(passwd, group);
        for (text, ids) in [
            ("", Ok((0, 0))),
            ("app", Ok((1000, 1001))),
            ("1000", Ok((1000, 1001))),
            ("1000:0", Ok((1000, 0))),
            ("app:log", Ok((1000, 50))),
            ("77", Ok((77, 0))),
            ("77:88", Ok((77, 88))),
            ("ghost", Err("unable to find user ghost: no matching entries in passwd file".to_owned())),
            ("app:ghost", Err("unable to find group ghost: no matching entries in group file".to_owned())),
        ] {
            assert_eq!(accounts.resolve(text), ids, "{text}");
        }
        assert_eq!((accounts.further_groups(1000), accounts.further_groups(77)), (vec![50], vec![]));
        assert_eq!((accounts.home(1000), accounts.home(7), accounts.home(77)), ("/home/app", "/", "/"));
    }
}
