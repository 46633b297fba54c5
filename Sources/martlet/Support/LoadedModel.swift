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

    init(_ options: ModelOptions, on compute: Compute) throws {
        base = try BaseModel.open(options.model)
        let network = try base.makeModel(on: compute)
        self.network = network
        adapter = try options.adapter.map {
            try AdapterFolder(URL(fileURLWithPath: $0), on: compute).attach(to: network.linears)
        }
    }
}
