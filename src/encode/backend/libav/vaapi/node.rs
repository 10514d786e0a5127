//! Render nodes of a machine: the paths of GPUs that encode without a display.

use std::fs;
use std::path::{Path, PathBuf};

/// Where render nodes are, unless [`FOLDER_VARIABLE`] names another folder.
const FOLDER: &str = "/dev/dri";

/// Environment variable with the folder of the render nodes.
const FOLDER_VARIABLE: &str = "STREAM_MANAGER_DRI";

/// What the kernel says of them.
const KERNEL_FOLDER: &str = "/sys/class/drm";

/// How the name of a render node begins.
const RENDER: &str = "renderD";

/// Render nodes that are looked at: the kernel numbers them from 128 to 191.
const NODES_MAX: usize = 64;

/// How the name of a device by its place on the bus begins.
const PCI: &str = "pci-";

/// One render node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) path: PathBuf,
    /// `pci-0000:00:02.0`, which is the same after each boot; the number of a node may not be.
    pci: Option<String>,
    /// The kernel's driver: `i915`, `amdgpu`.
    driver: Option<String>,
}

impl Node {
    fn of(path: PathBuf, folder: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_owned();
        let kernel = Path::new(KERNEL_FOLDER).join(&name).join("device");
        let last =
            |path: PathBuf| Some(fs::canonicalize(path).ok()?.file_name()?.to_str()?.to_owned());
        let pci = by_path(folder, &path).or_else(|| Some(PCI.to_owned() + &last(kernel.clone())?));
        Self { pci, driver: last(kernel.join("driver")), path }
    }

    /// Its name in logs: `renderD128 (pci-0000:00:02.0, i915)`.
    pub(super) fn label(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let more: Vec<_> = self.pci.iter().chain(&self.driver).map(String::as_str).collect();
        if more.is_empty() { name.into_owned() } else { format!("{name} ({})", more.join(", ")) }
    }

    /// Whether `device` names it by its place on the bus or by the kernel's driver.
    pub(super) fn is_called(&self, device: &str) -> bool {
        [&self.pci, &self.driver].into_iter().flatten().any(|name| name == device)
    }
}

/// The place on the bus of a render node, as udev's links say it.
fn by_path(folder: &Path, node: &Path) -> Option<String> {
    let node = fs::canonicalize(node).ok()?;
    let links = fs::read_dir(folder.join("by-path")).ok()?;
    links.filter_map(Result::ok).take(4 * NODES_MAX).find_map(|link| {
        let name = link.file_name().into_string().ok()?;
        let pci = name.strip_suffix("-render").filter(|name| name.starts_with(PCI))?;
        (fs::canonicalize(link.path()).ok()? == node).then(|| pci.to_owned())
    })
}

/// The render nodes of this machine that `device` may mean: a path, a place on the bus, or else the
/// name of a driver, which only some of them may answer to; all if it is not given.
///
/// # Errors
/// If there is none.
pub(super) fn nodes(device: Option<&str>) -> Result<Vec<Node>, String> {
    let folder = std::env::var_os(FOLDER_VARIABLE).map_or_else(|| FOLDER.into(), PathBuf::from);
    nodes_in(&folder, device)
}

/// The same in `folder`.
///
/// # Errors
/// As for [`nodes`].
pub(super) fn nodes_in(folder: &Path, device: Option<&str>) -> Result<Vec<Node>, String> {
    if let Some(path) = device.filter(|device| device.starts_with('/')) {
        return Ok(vec![Node::of(path.into(), folder)]);
    }
    let is_render = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(RENDER))
    };
    let entries = fs::read_dir(folder).map(|entries| entries.filter_map(Result::ok));
    let mut paths: Vec<_> = entries.into_iter().flatten().map(|entry| entry.path()).collect();
    paths.retain(is_render);
    paths.sort();
    paths.truncate(NODES_MAX);
    let mut nodes: Vec<_> = paths.into_iter().map(|path| Node::of(path, folder)).collect();
    if nodes.is_empty() {
        return Err(format!("there is no render node of a GPU in {}", folder.display()));
    }
    if let Some(pci) = device.filter(|device| device.starts_with(PCI)) {
        let there: Vec<_> = nodes.iter().map(Node::label).collect();
        nodes.retain(|node| node.is_called(pci));
        if nodes.is_empty() {
            return Err(format!("no device is called \"{pci}\"; there is {}", there.join(", ")));
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder with two render nodes, one of them with a place on the bus.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["renderD250", "renderD251", "card0"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let links = folder.path().join("by-path");
        fs::create_dir(&links).unwrap();
        symlink("../renderD251", links.join("pci-0000:03:00.0-render")).unwrap();
        symlink("../card0", links.join("pci-0000:03:00.0-card")).unwrap();
        folder
    }

    #[test]
    fn devices_are_found_by_path_and_by_their_place_on_the_bus() {
        let folder = folder();
        let labels = |device: Option<&str>| {
            let nodes = nodes_in(folder.path(), device).unwrap();
            nodes.iter().map(Node::label).collect::<Vec<_>>()
        };
        let second = "renderD251 (pci-0000:03:00.0)";
        assert_eq!(labels(None), ["renderD250", second]);
        assert_eq!(labels(Some("pci-0000:03:00.0")), [second]);
        assert_eq!(labels(Some("/dev/null")), ["null"]);
        assert_eq!(labels(Some("iHD")).len(), 2, "the name of a driver, which is asked later");
    }

    #[test]
    fn a_device_that_is_not_there_is_told_with_those_that_are() {
        let folder = folder();
        let error = nodes_in(folder.path(), Some("pci-0000:09:00.0")).unwrap_err();
        for part in ["pci-0000:09:00.0", "renderD250", "pci-0000:03:00.0"] {
            assert!(error.contains(part), "{error}");
        }
        let error = nodes_in(Path::new("/nowhere"), None).unwrap_err();
        assert!(error.contains("no render node") && error.contains("/nowhere"), "{error}");
    }
}
