//! Projects: named ones, or all below an organisation or folder.
//!
//! A search for projects shows only those the identity has rights on, and so can never say that there are no more;
//! listing the children of a folder needs a right on the folder and shows all of them (Resource Manager v3).

use crate::{
    auth::{Gcp, SOURCES, WHO},
    bills, fault,
};
use async_trait::async_trait;
use google_cloud_resourcemanager_v3::model::{Folder, Project, folder, project};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use sweeper_core::{
    calls::{Calls, Pages, Site},
    charges::{BillAsk, BillTold},
    kind::{Account, Cloud, CloudError, Fault, Held, Identity, Kind, Need, Universe},
    model::{CloudId, Scope, Tri},
};

const PROJECTS: &str = "resourcemanager.projects.list";
const FOLDERS: &str = "resourcemanager.folders.list";
/// Permissions a call of `projects.testIamPermissions` may name.
const AT_MOST: usize = 100;
/// Needs no permission itself.
const TEST: &str = "resourcemanager.projects.testIamPermissions";

/// What a run needs beside what its kinds declare.
pub const NEEDS: &[Need] = &[
    Need { permission: TEST, why: "to be sure of the rights that a list rests on", held: Held::Nowhere },
    Need { permission: WHO, why: "to name the project", held: Held::Account },
    Need { permission: PROJECTS, why: "to list the projects of the organisation or folder", held: Held::Parent },
    Need { permission: FOLDERS, why: "to list the folders of the organisation or folder", held: Held::Parent },
];

/// Folders below one organisation: Resource Manager allows ten levels of at most 300 each.
const MOST_FOLDERS: usize = 100_000;

/// Google Cloud as the core sees it.
pub(crate) struct Provider {
    pub(crate) gcp: Arc<Gcp>,
    pub(crate) kinds: Vec<Arc<dyn Kind>>,
    pub(crate) calls: Calls,
}

#[async_trait]
impl Cloud for Provider {
    fn id(&self) -> CloudId {
        CloudId::Gcp
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.kinds
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        self.gcp.forget();
        self.universe_here().await.map_err(|mut error| {
            if error.fault == Fault::Unauthenticated && !error.message.contains(SOURCES) {
                error.message = format!("{}; looked for: {SOURCES}", error.message);
            }
            error
        })
    }

    async fn identity(&self) -> Result<Option<Identity>, CloudError> {
        self.gcp.identity().await
    }

    /// The billing export holds every project of the billing account; those that were named are told.
    async fn bill(&self, ask: &BillAsk) -> Result<BillTold, CloudError> {
        let table = bills::table(&self.gcp.config)?;
        let site = self.site(&table.project);
        let mut told = Box::pin(bills::told(&self.gcp, &site, &table, ask)).await?;
        let named = &self.gcp.config.projects;
        told.rows.retain(|row| named.is_empty() || named.contains(&row.account));
        Ok(told)
    }

    async fn rights(&self, account: &str, permissions: &[&'static str]) -> Result<Vec<Tri>, CloudError> {
        let mut told: BTreeMap<&str, bool> = BTreeMap::new();
        for some in permissions.chunks(AT_MOST) {
            match self.held(account, some).await {
                Ok(held) => told.extend(some.iter().map(|permission| (*permission, held.contains(*permission)))),
                // A permission that projects do not know (one of a folder's) takes all others of its call along.
                Err(error) if error.fault == Fault::Refused && some.len() > 1 => {
                    for one in some {
                        match self.held(account, &[one]).await {
                            Ok(held) => drop(told.insert(one, held.contains(*one))),
                            Err(error) if error.fault == Fault::Refused => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) if error.fault == Fault::Refused => {}
                Err(error) => return Err(error),
            }
        }
        Ok(permissions.iter().map(|permission| told.get(permission).copied()).collect())
    }
}

impl Provider {
    fn site(&self, account: &str) -> Site {
        self.calls.site(&Scope::new(CloudId::Gcp, account, Scope::GLOBAL))
    }

    async fn universe_here(&self) -> Result<Universe, CloudError> {
        let config = &self.gcp.config;
        if let Some(parent) = &config.parent {
            return self.below(parent).await;
        }
        let named = if config.projects.is_empty() {
            BTreeSet::from([self.gcp.default_project().await?])
        } else {
            config.projects.clone()
        };
        let mut accounts = Vec::new();
        for id in &named {
            accounts.push(self.named(id).await?);
        }
        Ok(Universe { accounts, only_what_this_identity_sees: true })
    }

    /// A named project. What Resource Manager says of it is worth having and decides nothing: whether it can be
    /// read its listings show. Only without an identity, or anybody there, is it worth no further call.
    async fn named(&self, id: &str) -> Result<Account, CloudError> {
        let site = self.site(id);
        let empty = account(id, String::new(), String::new());
        let projects = self.gcp.projects(WHO).await?;
        let name = format!("projects/{id}");
        match fault::call(&site, WHO, || projects.get_project().set_name(&name).send()).await {
            Ok(found) if found.project_id == id => {
                self.gcp.learn_number(&found.name, id);
                Ok(of(&found, String::new()))
            }
            Ok(_) => Ok(empty),
            Err(error) if matches!(error.fault, Fault::Unauthenticated | Fault::Unreachable) => Err(error),
            Err(_) => Ok(empty),
        }
    }

    /// Every project below an organisation or folder. A folder that cannot be read is said to be blind.
    async fn below(&self, parent: &str) -> Result<Universe, CloudError> {
        let usable = parent.split_once('/').is_some_and(|(sort, id)| {
            matches!(sort, "organizations" | "folders")
                && !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !usable {
            let message = format!("{parent:?} is no organizations/123 or folders/456");
            return Err(CloudError::new(Fault::Refused, PROJECTS, message));
        }
        let site = self.site(Scope::NO_ACCOUNT);
        let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
        let mut partial = !self.gcp.config.projects.is_empty();
        let mut seen = BTreeSet::from([parent.to_owned()]);
        let mut queue = VecDeque::from([(parent.to_owned(), String::new())]);
        while let Some((folder, path)) = queue.pop_front() {
            let read = async {
                let projects = self.projects_of(&site, &folder).await?;
                Ok::<_, CloudError>((projects, self.folders_of(&site, &folder).await?))
            };
            match read.await {
                Ok((projects, folders)) => {
                    for project in projects {
                        self.gcp.learn_number(&project.name, &project.project_id);
                        let account = of(&project, path.clone());
                        accounts.insert(account.id.clone(), account);
                    }
                    for child in folders {
                        let name = if child.display_name.is_empty() { &child.name } else { &child.display_name };
                        if seen.len() < MOST_FOLDERS && seen.insert(child.name.clone()) {
                            queue.push_back((child.name.clone(), format!("{path}/{name}")));
                        }
                    }
                }
                Err(error) if folder == parent => return Err(error),
                Err(error) => {
                    // Which projects are in there is unknown; that they are not seen is shown.
                    partial = true;
                    let blind = Some(error.cause());
                    accounts.insert(folder.clone(), Account { blind, ..account(&folder, path.clone(), path) });
                }
            }
        }
        let named = &self.gcp.config.projects;
        let accounts = accounts.into_values().filter(|account| named.is_empty() || named.contains(&account.id));
        Ok(Universe { accounts: accounts.collect(), only_what_this_identity_sees: partial })
    }

    /// Which of the permissions the identity holds on a project. Unanswered says nothing of any listing: a list of
    /// a project fails whole where the right is missing, so a listing that succeeded is its own evidence.
    async fn held(&self, project: &str, permissions: &[&'static str]) -> Result<BTreeSet<String>, CloudError> {
        let site = self.site(project);
        let client = self.gcp.projects(TEST).await?;
        let resource = format!("projects/{project}");
        let answer = fault::call(&site, TEST, || {
            client.test_iam_permissions().set_resource(&resource).set_permissions(permissions.iter().copied()).send()
        })
        .await?;
        Ok(answer.permissions.into_iter().collect())
    }

    async fn projects_of(&self, site: &Site, parent: &str) -> Result<Vec<Project>, CloudError> {
        let client = self.gcp.projects(PROJECTS).await?;
        let mut found = Vec::new();
        let mut pages = Pages::new(PROJECTS);
        while let Some(token) = pages.next() {
            let page = fault::call(site, PROJECTS, || {
                client
                    .list_projects()
                    .set_parent(parent)
                    .set_page_size(300)
                    .set_show_deleted(true)
                    .set_page_token(token.clone().unwrap_or_default())
                    .send()
            })
            .await?;
            if page.projects.iter().any(|project| project.project_id.is_empty()) {
                return Err(CloudError::new(Fault::Malformed, PROJECTS, "a project without an id"));
            }
            pages.seen(Some(&page.next_page_token))?;
            found.extend(page.projects);
        }
        Ok(found)
    }

    async fn folders_of(&self, site: &Site, parent: &str) -> Result<Vec<Folder>, CloudError> {
        let client = self.gcp.folders(FOLDERS).await?;
        let mut found = Vec::new();
        let mut pages = Pages::new(FOLDERS);
        while let Some(token) = pages.next() {
            let page = fault::call(site, FOLDERS, || {
                client
                    .list_folders()
                    .set_parent(parent)
                    .set_page_size(300)
                    .set_page_token(token.clone().unwrap_or_default())
                    .send()
            })
            .await?;
            if page.folders.iter().any(|folder| folder.name.is_empty()) {
                return Err(CloudError::new(Fault::Malformed, FOLDERS, "a folder without a name"));
            }
            pages.seen(Some(&page.next_page_token))?;
            // A deleted folder has nothing in it: it must be empty to be deleted.
            found.extend(page.folders.into_iter().filter(|child| child.state != folder::State::DeleteRequested));
        }
        Ok(found)
    }
}

fn account(id: &str, name: String, path: String) -> Account {
    Account { id: id.to_owned(), name, path, regions: Vec::new(), blind: None, none: None }
}

fn of(project: &Project, path: String) -> Account {
    // What waits for its deletion is shut down, and cannot be read.
    let none = (project.state == project::State::DeleteRequested).then(|| "project is to be deleted".to_owned());
    Account { none, ..account(&project.project_id, project.display_name.clone(), path) }
}

#[cfg(test)]
mod tests {
    use crate::{auth::Config, canned::Canned};
    use sweeper_core::kind::Fault;

    fn organisation() -> Config {
        Config { parent: Some("organizations/1".to_owned()), ..Config::default() }
    }

    /// An organisation of one folder with a folder in it; `denied` is a folder that may not be read.
    fn answer(line: &str, denied: &str) -> (u16, &'static str, String) {
        let is = |what: &str, parent: &str| {
            line.contains(&format!("/v3/{what}?")) && line.contains(&format!("parent={parent}"))
        };
        let body = if !denied.is_empty() && line.contains(denied) {
            return (403, "", r#"{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}"#.to_owned());
        } else if is("folders", "organizations%2F1") || is("folders", "organizations/1") {
            r#"{"folders": [{"name": "folders/2", "parent": "organizations/1", "displayName": "Sandbox", "state": "ACTIVE"}]}"#
        } else if is("folders", "folders%2F2") || is("folders", "folders/2") {
            r#"{"folders": [{"name": "folders/3", "parent": "folders/2", "displayName": "team-a", "state": "ACTIVE"}]}"#
        } else if is("projects", "organizations%2F1") || is("projects", "organizations/1") {
            if line.contains("pageToken=two") {
                r#"{"projects": [{"name": "projects/12", "projectId": "gone", "state": "DELETE_REQUESTED"}]}"#
            } else {
                r#"{"projects": [{"name": "projects/11", "projectId": "shop", "displayName": "Shop", "state": "ACTIVE"}], "nextPageToken": "two"}"#
            }
        } else if is("projects", "folders%2F3") || is("projects", "folders/3") {
            r#"{"projects": [{"name": "projects/13", "projectId": "lab", "state": "ACTIVE"}]}"#
        } else {
            "{}"
        };
        (200, "", body.to_owned())
    }

    #[tokio::test]
    async fn all_below_a_parent() {
        let canned = Canned::with(organisation(), |line| answer(line, "")).await;
        let universe = canned.cloud.universe().await.unwrap();
        assert!(!universe.only_what_this_identity_sees);
        let seen: Vec<_> =
            universe.accounts.iter().map(|one| (one.id.as_str(), one.path.as_str(), one.none.is_some())).collect();
        assert_eq!(seen, [("gone", "", true), ("lab", "/Sandbox/team-a", false), ("shop", "", false)]);
    }

    #[tokio::test]
    async fn a_folder_that_may_not_be_read_is_blind() {
        for denied in ["folders%2F3", "folders/3"] {
            let canned = Canned::with(organisation(), move |line| answer(line, denied)).await;
            let universe = canned.cloud.universe().await.unwrap();
            if let Some(folder) = universe.accounts.iter().find(|account| account.id == "folders/3") {
                assert!(universe.only_what_this_identity_sees);
                assert_eq!(folder.blind.as_deref(), Some("denied resourcemanager.projects.list"));
                return;
            }
        }
        panic!("the folder is not shown");
    }

    #[tokio::test]
    async fn a_parent_that_may_not_be_read_is_an_error() {
        let canned = Canned::with(organisation(), |line| answer(line, "v3")).await;
        assert_eq!(canned.cloud.universe().await.unwrap_err().fault, Fault::Denied);
        let odd = Config { parent: Some("acme".to_owned()), ..Config::default() };
        let canned = Canned::with(odd, |line| answer(line, "")).await;
        assert_eq!(canned.cloud.universe().await.unwrap_err().fault, Fault::Refused);
    }

    #[tokio::test]
    async fn what_is_not_told_of_a_named_project_decides_nothing() {
        let canned = Canned::new(|_| (404, "", r#"{"error": {"code": 404, "message": "no"}}"#.to_owned())).await;
        let universe = canned.cloud.universe().await.unwrap();
        assert_eq!(universe.accounts.len(), 1);
        assert_eq!((universe.accounts[0].id.as_str(), &universe.accounts[0].blind), ("p", &None));
    }
}
