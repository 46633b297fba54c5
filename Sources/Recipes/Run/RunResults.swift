import Checkpoints
public import Foundation
import Models
public import Training

/// What a finished run leaves besides its checkpoints.
extension PreparedRun {
    /// Writes the forms of the result that the recipe asks for, each complete or not at all: the adapter first, which no
    /// failure of the merge takes away then.
    /// - Parameters:
    ///   - step: the last step, which has a checkpoint.
    ///   - note: receives sentences about what the results are worth.
    /// - Returns: What was written: everything, but for a merged model that would be the base.
    @discardableResult
    public func writeResults(
        to folder: RunFolder, after step: Int, note: (String) -> Void = { _ in }
    ) throws -> [Recipe.Output.Form] {
        let forms = recipe.output.save
        if forms.contains(.adapter) { try writeAdapter(to: folder.adapter) }
        guard forms.contains(.merged) else { return forms }
        do {
            try writeMerged(from: folder.checkpoint(step: step), to: folder.merged, note: note)
            return forms
        } catch ModelMerge.Problem.changesNothing {
            note("the adapter changes no weight (its B matrices are zero), so there is no merged model: it would be the base")
            return forms.filter { $0 != .merged }
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
    private func writeMerged(from checkpoint: URL, to place: URL, note: (String) -> Void) throws {
        let plain = base.packing == nil ? base : try recipe.withChatTemplate(BaseModel.open(recipe.model.path))
        let merge = try ModelMerge(
            base: plain, trainedOver: base.isPacked && !plain.isPacked ? base : nil,
            adapter: try AdapterFolder(checkpoint, on: compute), on: compute)
        let report = try merge.write(to: place, replacing: true)
        for sentence in report.remarks { note(sentence) }
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
