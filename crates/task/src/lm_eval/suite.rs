//! A file with one task, or a group with all the tasks that it names (`TaskFactory` of lm-evaluation-harness 0.4.13).

use super::{
    Task,
    config::{self, Keys},
    yaml::{self, Data, Members, Node, set},
};
use crate::Error;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

/// Groups inside groups, at most.
const MAX_DEPTH: usize = 8;
/// Tasks of one file, at most.
const MAX_TASKS: usize = 10_000;
/// Files that are looked through for the tasks of a group, at most, and the folders below its own.
const MAX_FILES: usize = 20_000;
/// Values that all tasks and groups come to, at most: every member of a group gets the group's settings, and groups that
/// name others several times over multiply.
const MAX_WORK: usize = 4_000_000;
/// A compiled pattern, in values.
const REGEX_WORK: usize = 10_000;

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The tasks, each name once.
    pub tasks: Vec<Task>,
    /// The groups, the file's own last; none for a single task.
    pub groups: Vec<Group>,
}

/// A group of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The name to show.
    pub alias: String,
    /// Names of its tasks and groups, in order.
    pub members: Vec<String>,
    /// What is computed from the tasks' numbers.
    pub metrics: Vec<GroupMetric>,
}

/// A number of a group: the mean of its tasks' numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetric {
    /// The metric's name.
    pub metric: String,
    /// The filters it is computed for; all without.
    pub filters: Option<Vec<String>>,
    /// Whether tasks count by their questions, or each as one.
    pub weight_by_size: bool,
}

/// Reads a task, or a group and the tasks it names, which are looked for in the files of its folder and those below.
///
/// # Errors
/// [`Error::File`] with file and line for everything that is wrong with them, `!function` among it.
pub fn read(path: &Path) -> Result<Suite, Error> {
    let members = yaml::read(path)?;
    let mut builder = Builder { tasks: Vec::new(), groups: Vec::new(), index: None, files: HashMap::new(), work: 0 };
    if members.iter().any(|(key, _)| key == "group") {
        builder.group(path, members, None, &Members::new(), 0)?;
    } else {
        builder.task(path, members)?;
    }
    Ok(Suite { tasks: builder.tasks, groups: builder.groups })
}

struct Builder {
    tasks: Vec<Task>,
    groups: Vec<Group>,
    index: Option<Index>,
    /// Files that were named, as they were read.
    files: HashMap<PathBuf, Members>,
    /// Values copied and checked so far.
    work: usize,
}

/// The names in a folder.
#[derive(Default)]
struct Index {
    files: HashMap<String, PathBuf>,
    tags: HashMap<String, BTreeSet<String>>,
}

/// Settings of a group that are none of its tasks'.
const GROUP_KEYS: [&str; 6] = ["group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"];

impl Builder {
    fn spend(&mut self, path: &Path, work: usize) -> Result<(), Error> {
        self.work = self.work.saturating_add(work);
        if self.work <= MAX_WORK {
            return Ok(());
        }
        let problem = format!("the tasks and groups that it names come to more than {MAX_WORK} values");
        Err(super::file_error(path, String::new(), problem, "split the group, and name each task once"))
    }

    fn task(&mut self, path: &Path, members: Members) -> Result<String, Error> {
        self.spend(path, yaml::size(&members))?;
        let task = Task::new(path, members)?;
        self.spend(path, REGEX_WORK * task.patterns())?;
        let name = task.name().to_owned();
        if self.tasks.len() == MAX_TASKS {
            return Err(super::file_error(
                path,
                String::new(),
                format!("more than {MAX_TASKS} tasks"),
                "split the group",
            ));
        }
        match self.tasks.iter_mut().find(|other| other.name() == name) {
            Some(other) => *other = task,
            None => self.tasks.push(task),
        }
        Ok(name)
    }

    /// Builds a group and gives its name.
    fn group(
        &mut self,
        path: &Path,
        members: Members,
        named: Option<String>,
        overrides: &Members,
        depth: usize,
    ) -> Result<String, Error> {
        let node = members.first().map(|(_, node)| node.clone());
        self.spend(path, yaml::size(&members) + yaml::size(overrides))?;
        let mut settings = Members::new();
        let own = members.iter().filter(|(key, _)| !GROUP_KEYS.contains(&key.as_str()));
        set(&mut settings, own.chain(overrides).cloned());
        let mut keys = Keys::new(members);
        let own = keys.text("group")?;
        let Some(name) = named.or(own) else {
            return Err(super::file_error(path, String::new(), "a group without a name", "write `group: NAME`"));
        };
        if let Some(node) = node.filter(|_| depth == MAX_DEPTH) {
            return Err(node.error(format!("more than {MAX_DEPTH} groups inside each other"), "nest less deeply"));
        }
        let alias = keys.text("group_alias")?.unwrap_or_else(|| name.clone());
        let metrics = keys.take("aggregate_metric_list").map(group_metrics).transpose()?.unwrap_or_default();
        let tasks = match keys.take("task") {
            Some(Node { data: Data::List(list), .. }) => list,
            Some(node) => vec![node],
            None => Vec::new(),
        };
        let mut children = Vec::new();
        for node in tasks {
            children.extend(self.member(path, &name, node, &settings, depth)?);
        }
        self.groups.push(Group { name: name.clone(), alias, members: children, metrics });
        Ok(name)
    }

    /// A member of a group: a name, a name with settings, or a task or group written out.
    fn member(
        &mut self,
        path: &Path,
        group: &str,
        node: Node,
        settings: &Members,
        depth: usize,
    ) -> Result<Vec<String>, Error> {
        self.spend(path, yaml::size(settings))?;
        let mut own = settings.clone();
        let name = match &node.data {
            Data::Text(name) => name.clone(),
            Data::Map(members) => {
                let find = |key: &str| members.iter().find(|(k, _)| k == key).map(|(_, node)| node.clone());
                if let Some(named) = find("group") {
                    let name = config::text(named, "group")?;
                    if self.index(path)?.files.contains_key(&name) {
                        set(&mut own, members.iter().filter(|(k, _)| k != "group").cloned());
                        return self.named(path, &node, &name, &own, depth);
                    }
                    let inline = members.clone();
                    return Ok(vec![self.group(
                        path,
                        inline,
                        Some(format!("{group}::{name}")),
                        settings,
                        depth + 1,
                    )?]);
                }
                let Some(named) = find("task") else {
                    return Err(node.error("a member without `task` or `group`", "name the task"));
                };
                set(&mut own, members.iter().cloned());
                config::text(named, "task")?
            }
            _ => return Err(node.mistyped("task", "the name of a task, or a mapping")),
        };
        let known = self.index(path)?;
        if known.files.contains_key(&name) || known.tags.contains_key(&name) {
            return self.named(path, &node, &name, &own, depth);
        }
        if matches!(node.data, Data::Text(_)) {
            let problem = format!("there is no task, group or tag `{name}` in the files beside this one");
            return Err(node.error(problem, "write the task's file into this folder or one below"));
        }
        let full = Node { data: Data::Text(format!("{group}::{name}")), ..node };
        set(&mut own, [("task".into(), full)]);
        Ok(vec![self.task(path, own)?])
    }

    /// A task, group or tag that has a file of its own.
    fn named(
        &mut self,
        path: &Path,
        node: &Node,
        name: &str,
        settings: &Members,
        depth: usize,
    ) -> Result<Vec<String>, Error> {
        let index = self.index(path)?;
        let Some(file) = index.files.get(name).cloned() else {
            let tagged: Vec<String> = index.tags.get(name).into_iter().flatten().cloned().collect();
            if depth == MAX_DEPTH {
                return Err(node.error(format!("the tag `{name}` goes round in circles"), "name the tasks"));
            }
            let mut names = Vec::new();
            for task in tagged {
                // A tag is not the name of a task.
                self.spend(path, yaml::size(settings))?;
                let settings: Members = settings.iter().filter(|(key, _)| key != "task").cloned().collect();
                names.extend(self.named(path, node, &task, &settings, depth + 1)?);
            }
            return Ok(names);
        };
        let mut members = match self.files.get(&file) {
            Some(members) => members.clone(),
            None => self.files.entry(file.clone()).or_insert(yaml::read(&file)?).clone(),
        };
        self.spend(path, yaml::size(&members) + yaml::size(settings))?;
        if members.iter().any(|(key, _)| key == "group") {
            let settings: Members = settings.iter().filter(|(key, _)| key != "task").cloned().collect();
            return Ok(vec![self.group(&file, members, None, &settings, depth + 1)?]);
        }
        set(&mut members, settings.iter().cloned());
        Ok(vec![self.task(&file, members)?])
    }

    /// The names in the folder of the first file that asks.
    fn index(&mut self, path: &Path) -> Result<&Index, Error> {
        if self.index.is_none() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            self.index = Some(Index::of(folder)?);
        }
        self.index.as_ref().ok_or_else(|| super::file_error(path, String::new(), "no index", "report it"))
    }
}

impl Index {
    /// Files that cannot be read are passed over, as lm-evaluation-harness does: what is named will be missed.
    fn of(folder: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        collect(folder, folder, MAX_DEPTH, &mut files)?;
        let mut index = Self::default();
        for path in files.into_values() {
            let Ok(members) = yaml::read(&path) else { continue };
            let find = |key: &str| members.iter().find(|(k, _)| k == key).map(|(_, node)| &node.data);
            let Some(Data::Text(name)) = find("group").or_else(|| find("task")) else { continue };
            if index.files.contains_key(name) {
                continue;
            }
            index.files.insert(name.clone(), path);
            let tags = match find("tag").filter(|_| find("group").is_none()) {
                Some(Data::Text(tag)) => vec![tag],
                Some(Data::List(list)) => list
                    .iter()
                    .filter_map(|node| if let Data::Text(tag) = &node.data { Some(tag) } else { None })
                    .collect(),
                _ => Vec::new(),
            };
            for tag in tags {
                index.tags.entry(tag.clone()).or_default().insert(name.clone());
            }
        }
        Ok(index)
    }
}

/// The YAML files below a folder, in the order of their paths.
fn collect(root: &Path, folder: &Path, depth: usize, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Error> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        // Links are not followed: they may lead round in circles.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth > 0 {
            collect(root, &path, depth - 1, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            if files.len() == MAX_FILES {
                let problem = format!("more than {MAX_FILES} YAML files in this folder");
                return Err(super::file_error(root, String::new(), problem, "move the group to a folder of its own"));
            }
            files.insert(path.to_string_lossy().into_owned(), path);
        }
    }
    Ok(())
}

fn group_metrics(node: Node) -> Result<Vec<GroupMetric>, Error> {
    let list = match node.data {
        Data::List(list) => list,
        _ => vec![node],
    };
    list.into_iter().map(group_metric).collect()
}

fn group_metric(node: Node) -> Result<GroupMetric, Error> {
    let whole = node.clone();
    let mut keys = Keys::new(config::members(node, "aggregate_metric_list")?);
    let Some(metric) = keys.text("metric")? else { return Err(whole.error("no `metric`", "name the metric")) };
    let mean = |node: &Node| matches!(&node.data, Data::Text(text) if text == "mean");
    if let Some(node) = keys.take("aggregation").filter(|node| !mean(node)) {
        return Err(node.mistyped("aggregation", "mean, the only one there is"));
    }
    let weight_by_size = match keys.take("weight_by_size") {
        Some(Node { data: Data::Bool(b), .. }) => b,
        Some(node) => return Err(node.mistyped("weight_by_size", "true or false")),
        None => true,
    };
    let filters = keys.take("filter_list").map(|node| config::texts(node, "filter_list")).transpose()?;
    keys.finish("`aggregate_metric_list`")?;
    Ok(GroupMetric { metric, filters, weight_by_size })
}
