import Foundation
import Layers
import Models
import Recipes
import TensorCore

/// A base model and its network, with the adapter that the command line names.
struct LoadedModel {
    let base: BaseModel
    let network: any CausalLanguageModel
    let adapter: LoRAAdapter?

    init(_ options: ModelOptions, _ form: PackingOptions, on compute: Compute) throws {
        let folder = try options.adapter.map { try AdapterFolder(URL(fileURLWithPath: $0), on: compute) }
        let packing = form.packing(trainedOver: folder.flatMap { Packing(metadata: $0.metadata) })
        let plain = try BaseModel.open(
            options.model, packing: packing, cache: form.cache.packedModels, on: compute, note: Terminal.note)
        base = try options.adapter.map { try plain.withTemplate(ofAdapter: URL(fileURLWithPath: $0)) } ?? plain
        network = try base.makeModel(on: compute)
        if let remark = base.remark(on: network) { Terminal.note(remark) }
        adapter = try folder?.attach(to: network.adapterTargets)
        if let remark = folder?.remark(onBaseNamed: base.name) { Terminal.note(remark) }
    }
}
