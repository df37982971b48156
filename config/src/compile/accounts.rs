//! The image's users and groups: `passwd(5)` and `group(5)`.

use super::tree::Tree;
use crate::Value;
use crate::account::{Group, Id, User};
use crate::name::{AbsolutePath, Line};

/// A distribution's files have some kilobytes.
const FILE_MAX: usize = 1 << 20;

/// The accounts that an image knows; lines that are no account are left out.
pub(crate) struct Accounts {
    users: Vec<User>,
    groups: Vec<NamedGroup>,
}

struct NamedGroup {
    name: String,
    gid: Id,
    members: Vec<String>,
}

impl Accounts {
    pub(super) fn of(tree: &dyn Tree) -> Self {
        let groups: Vec<NamedGroup> = records(tree, "/etc/group").filter_map(group).collect();
        let users = records(tree, "/etc/passwd").filter_map(|line| user(&line, &groups)).collect();
        Self { users, groups }
    }

    pub(super) fn user(&self, name: &str) -> Option<User> {
        self.users.iter().find(|user| user.name.as_str() == name).cloned()
    }

    /// The user with this number; one without a name has the group of the same number.
    pub(super) fn user_number(&self, uid: Id) -> Option<User> {
        let known = self.users.iter().find(|user| user.uid == uid).cloned();
        known.or_else(|| nameless(uid))
    }

    pub(super) fn group(&self, name: &str) -> Option<Group> {
        self.groups.iter().find(|group| group.name == name).map(|group| Group(group.gid))
    }

    pub(super) fn user_names(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|user| user.name.as_str())
    }

    pub(super) fn group_names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }
}

fn records(tree: &dyn Tree, path: &str) -> impl Iterator<Item = Vec<String>> {
    let bytes = tree.read(path, FILE_MAX).unwrap_or_default();
    let fields = |line: &str| line.split(':').map(str::to_owned).collect();
    String::from_utf8_lossy(&bytes).lines().map(fields).collect::<Vec<_>>().into_iter()
}

/// `name:password:gid:member,member`
fn group(line: Vec<String>) -> Option<NamedGroup> {
    let [name, _, gid, members] = <[String; 4]>::try_from(line).ok()?;
    let members = members.split(',').map(str::to_owned).collect();
    Some(NamedGroup { name, gid: id(&gid)?, members })
}

/// `name:password:uid:gid:comment:home:shell`
fn user(line: &[String], groups: &[NamedGroup]) -> Option<User> {
    let [name, _, uid, gid, _, home, _] = line else { return None };
    let gid = id(gid)?;
    Some(User {
        uid: id(uid)?,
        gid,
        groups: memberships(name, gid, groups),
        name: Line::from_text(name)?,
        home: AbsolutePath::from_text(home).unwrap_or_else(AbsolutePath::root),
    })
}

fn nameless(uid: Id) -> Option<User> {
    let name = Line::from_text(&uid.get().to_string())?;
    Some(User { uid, gid: uid, groups: Vec::new(), name, home: AbsolutePath::root() })
}

fn memberships(user: &str, primary: Id, groups: &[NamedGroup]) -> Vec<Id> {
    let has = |group: &&NamedGroup| group.members.iter().any(|member| member == user);
    let mut gids: Vec<Id> = groups.iter().filter(has).map(|group| group.gid).collect();
    gids.retain(|gid| *gid != primary);
    gids.sort_unstable();
    gids.dedup();
    gids
}

fn id(text: &str) -> Option<Id> {
    text.parse().ok().and_then(Id::new)
}

#[cfg(test)]
mod tests {
    use super::super::tree::Access;
    use super::*;

    struct Etc;

    impl Tree for Etc {
        fn access(&self, _path: &str) -> Access {
            Access::Missing
        }

        fn read(&self, path: &str, _limit: usize) -> Option<Vec<u8>> {
            match path {
                "/etc/passwd" => Some(PASSWD.into()),
                "/etc/group" => Some(GROUP.into()),
                _ => None,
            }
        }
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        web:x:33:33::/var/www:/usr/sbin/nologin\n\
        nohome:x:34:34:::\n\
        +::::::\n\
        short:x:1\n\
        none:x:4294967295:1::/:\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:web\nvideo:x:44:web,root\naudio:x:29:web\nbad:x:y:\n";

    fn numbers(user: &User) -> (u32, u32, Vec<u32>) {
        (user.uid.get(), user.gid.get(), user.groups.iter().map(|gid| gid.get()).collect())
    }

    #[test]
    fn a_user_has_its_groups_and_home() {
        let web = Accounts::of(&Etc).user("web").unwrap();
        assert_eq!(numbers(&web), (33, 33, vec![29, 44]));
        assert_eq!(web.home.as_str(), "/var/www");
        let home = Accounts::of(&Etc).user("nohome").map(|user| user.home);
        assert_eq!(home, Some(AbsolutePath::root()));
    }

    #[test]
    fn lines_that_are_no_account_are_left_out() {
        let accounts = Accounts::of(&Etc);
        assert_eq!(accounts.user_names().collect::<Vec<_>>(), ["root", "web", "nohome"]);
        assert_eq!(accounts.group("bad"), None);
        assert_eq!(accounts.group("video"), Id::new(44).map(Group));
    }

    #[test]
    fn a_number_without_a_name_is_a_user_too() {
        let accounts = Accounts::of(&Etc);
        let by_number = |uid| accounts.user_number(Id::new(uid)?);
        assert_eq!(by_number(33), accounts.user("web"));
        assert_eq!(by_number(1000).map(|user| numbers(&user)), Some((1000, 1000, vec![])));
    }
}
