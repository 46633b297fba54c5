package import Foundation

extension BaseModel {
    /// Why a new model must not take the place of what is at a path: only an empty folder may go, or one that holds
    /// `config.json`, weights and what this program writes beside them, and nothing else.
    /// - Returns: A clause that follows the path; `nil` if nothing is there, or nothing that must stay.
    package static func reasonToKeep(_ place: URL) -> String? {
        let manager = FileManager.default
        switch (try? manager.attributesOfItem(atPath: place.path))?[.type] as? FileAttributeType {
        case nil: return nil
        case .typeDirectory?: break
        case .typeSymbolicLink?: return "is a symbolic link"
        default: return "is no folder"
        }
        guard let names = try? manager.contentsOfDirectory(atPath: place.path) else { return "cannot be read" }
        if let other = names.sorted().first(where: { !mayHold($0, in: place) }) {
            return "holds \(other), which this program does not write beside a model"
        }
        let isModel = names.contains("config.json") && names.contains { $0.hasSuffix(".safetensors") }
        return names.isEmpty || isModel ? nil : "holds no model"
    }

    /// Whether a model folder that this program has written can hold a file of this name.
    private static func mayHold(_ name: String, in folder: URL) -> Bool {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path, isDirectory: &isFolder)
        let isWeights = name.hasPrefix("model") && name.hasSuffix(".safetensors")
        return exists && !isFolder.boolValue
            && (isWeights || name == "config.json" || name == "model.safetensors.index.json" || companionNames.contains(name))
    }
}
