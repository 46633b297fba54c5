import Foundation

/// The files that a path of a recipe stands for.
enum DatasetPaths {
    /// A file is itself, a folder all data files in and below it (through links, too), and a pattern with `*`, `?` or `[…]`
    /// what it matches; sorted by their bytes, so that the order is the same everywhere.
    static func files(at path: String) throws(DatasetProblem) -> [String] {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
            return isFolder.boolValue ? try files(inFolder: path) : [path]
        }
        let matches = isPattern(path) ? matches(of: path) : []
        if matches.isEmpty { throw DatasetProblem(.missing, file: path) }
        var files: [String] = []
        for match in matches {
            let exists = FileManager.default.fileExists(atPath: match, isDirectory: &isFolder)
            files += exists && isFolder.boolValue ? try self.files(inFolder: match) : [match]
        }
        return files
    }

    /// What to do where there is no file, if the path tells what its author may have meant.
    static func remedy(where path: String) -> String? {
        if path.hasPrefix("~") {
            return "~ is not expanded here, write the whole path: \((path as NSString).expandingTildeInPath)"
        }
        let owner = String(path.prefix { $0 != "/" })
        guard path.wholeMatch(of: /[A-Za-z0-9][\w.-]*\/[\w.-]+/) != nil, !Container.isData(path),
            !FileManager.default.fileExists(atPath: owner)
        else { return nil }
        let folder = "data/" + (path as NSString).lastPathComponent
        return "if it is the name of a data set on the Hugging Face hub: Martlet downloads nothing, so fetch it with"
            + " `hf download \(path) --repo-type dataset --local-dir \(folder)` and give its files, Parquet converted to JSON"
            + " lines"
    }

    private static func isPattern(_ path: String) -> Bool { path.contains { "*?[".contains($0) } }

    private static func matches(of pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, GLOB_NOSORT, nil, &found) == 0 else { return [] }
        return sorted((0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } })
    }

    private static func files(inFolder path: String) throws(DatasetProblem) -> [String] {
        var files: [String] = []
        // Links come last, so that a file is named by its own place where it has one in the folder.
        var (folders, links) = ([path], [String]())
        var visited: Set<FolderIdentity> = []
        while let folder = folders.popLast() ?? links.popLast() {
            guard let identity = FolderIdentity(folder), visited.insert(identity).inserted else { continue }
            for place in try entries(of: folder) {
                // What is neither file nor folder is left alone: a pipe would keep the reader waiting for ever.
                var status = stat()
                guard stat(place, &status) == 0 else { continue }
                if status.st_mode & S_IFMT == S_IFDIR {
                    if isLink(place) { links.append(place) } else { folders.append(place) }
                } else if status.st_mode & S_IFMT == S_IFREG, Container.isData((place as NSString).lastPathComponent) {
                    files.append(place)
                }
            }
        }
        if files.isEmpty { throw DatasetProblem(.noDataFiles, file: path) }
        return sorted(files)
    }

    /// What lies in a folder and is not hidden.
    private static func entries(of folder: String) throws(DatasetProblem) -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            let isDenied = access(folder, R_OK) != 0 && errno == EACCES
            throw DatasetProblem(isDenied ? .denied : .unreadable(reason: "the folder cannot be opened"), file: folder)
        }
        return sorted(names.filter { !$0.hasPrefix(".") }).map { (folder as NSString).appendingPathComponent($0) }
    }

    private static func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    private static func sorted(_ paths: [String]) -> [String] {
        paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}

/// What tells one folder from all others, by whichever way it is reached.
private struct FolderIdentity: Hashable {
    private let device, inode: UInt64

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}
