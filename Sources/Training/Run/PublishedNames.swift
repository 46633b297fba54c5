import Datasets

/// What data files are called in files that may leave the machine: as the recipe calls them, but without the folders of
/// an absolute path, as far as the names stay different.
struct PublishedNames {
    private let names: [String: String]

    /// Names for these files.
    init(_ paths: [String]) {
        let parts = paths.map { $0.split(separator: "/").map(String.init) }
        var names: [String: String] = [:]
        for (path, own) in zip(paths, parts) {
            guard path.hasPrefix("/"), !own.isEmpty else { continue }
            let others = zip(paths, parts).filter { $0.0 != path }.map(\.1)
            let length = (1...own.count).first { length in
                !others.contains { $0.suffix(length).elementsEqual(own.suffix(length)) }
            }
            names[path] = own.suffix(length ?? own.count).joined(separator: "/")
        }
        self.names = names
    }

    /// The name of one of the files, or of another in the same manner.
    subscript(path: String) -> String {
        if let name = names[path] { return name }
        return path.hasPrefix("/") ? path.split(separator: "/").last.map(String.init) ?? path : path
    }
}

extension NumericProblem {
    /// The same with files called as in published files.
    func published(_ names: PublishedNames) -> NumericProblem {
        NumericProblem(
            step: step, kind: kind, origin: origin,
            records: records.map { RecordPlace(file: names[$0.file], line: $0.line) })
    }
}
