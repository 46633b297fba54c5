import Foundation

extension AdapterFolder {
    /// A remark for the user if the adapter says that it was made for another base than this one: shapes may fit all the same, as
    /// those of a model and its instruct variant do.
    /// - Parameter name: of the base's folder or file.
    public func remark(onBaseNamed name: String) -> String? {
        guard let baseModel, let made = BaseModelName(baseModel), let used = BaseModelName(name), made != used else { return nil }
        return "the adapter in \(path) says that it was trained over \(made.name), and this base is called \(name): if they are not the same model, its answers mean nothing"
    }
}

/// What a model is called, whatever its files are: without the way to it, the ending of a GGUF file, and the form of its weights.
private struct BaseModelName: Equatable {
    let name: String
    private let essence: String

    /// `nil` where the name says nothing: in caches folders are called by a hash.
    init?(_ path: String) {
        name = (path as NSString).lastPathComponent
        var essence = name.lowercased()
        if essence.hasSuffix(".gguf") { essence.removeLast(5) }
        let form = "[-._](i?q[0-9][0-9a-z_]*|[bf]*f?(16|32)|nf4|4bit|mxfp4|merged|gguf)$"
        while let range = essence.range(of: form, options: .regularExpression) { essence.removeSubrange(range) }
        if essence.isEmpty || essence.range(of: "^[0-9a-f]{32,}$", options: .regularExpression) != nil { return nil }
        self.essence = essence
    }

    static func == (left: Self, right: Self) -> Bool { left.essence == right.essence }
}
