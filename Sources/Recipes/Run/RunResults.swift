import Checkpoints
public import Foundation
import Models
public import Training

/// What a finished run leaves besides its checkpoints.
extension PreparedRun {
    /// Writes the forms of the result that the recipe asks for, each complete or not at all.
    /// - Parameter step: the last step, which has a checkpoint.
    public func writeResults(to folder: RunFolder, after step: Int) throws {
        for form in recipe.output.save {
            switch form {
            case .adapter: try writeAdapter(to: folder.adapter)
            case .merged: try writeMerged(from: folder.checkpoint(step: step), to: folder.merged)
            }
        }
    }

    /// The trained adapter, with the files of the tokenizer.
    private func writeAdapter(to place: URL) throws {
        try AtomicDirectory.write(to: place, replacing: true) { temporary in
            try AdapterFolder.write(adapter, baseModel: base.name, metadata: base.packing?.metadata ?? [:], to: temporary)
            for (name, contents) in try base.companions() where name != "generation_config.json" {
                try AtomicFile.write(contents, to: temporary.appendingPathComponent(name))
            }
        }
    }

    /// Base and adapter as one model: the base as it was before packing, as `martlet merge` takes it.
    private func writeMerged(from checkpoint: URL, to place: URL) throws {
        let plain = try recipe.withChatTemplate(BaseModel.open(recipe.model.path))
        let merge = try ModelMerge(
            base: plain, trainedOver: base.isPacked && !plain.isPacked ? base : nil,
            adapter: try AdapterFolder(checkpoint, on: compute), on: compute)
        _ = try merge.write(to: place, replacing: true)
    }
}

extension Recipe.Output.Form {
    /// Where a run has this form of its result.
    public func place(in run: RunFolder) -> URL {
        switch self {
        case .adapter: run.adapter
        case .merged: run.merged
        }
    }
}
