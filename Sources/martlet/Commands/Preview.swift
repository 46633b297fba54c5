import ArgumentParser
import Datasets
import Foundation
import Recipes
import Tokenization

struct Preview: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the data of a recipe as the model will see them, and what is trained of them.",
        discussion: """
            martlet preview recipes/quickstart.yaml
            martlet preview recipes/quickstart.yaml data.train_on=last --examples 5

            What is trained is coloured on a terminal and stands between ⟦ and ⟧ elsewhere. Data that train would refuse \
            are shown all the same; then the command says why and exits with 65.
            """)

    @Argument(help: "The recipe, a YAML file.")
    var recipe: String

    @Argument(help: "Settings that go over the recipe's: key.path=value.")
    var overrides: [String] = []

    @Option(parsing: .unconditional, help: "Examples to show of each source.")
    var examples = 2

    @Option(
        parsing: .unconditional,
        help: "Look at so many records of each source only; left out, at all of them, or at the first 10000 of data that stream from disk.")
    var records: Int?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if examples < 0 { throw ValidationError("--examples is \(examples), expected 0 or more") }
        if let records, records < 1 { throw ValidationError("--records is \(records), expected 1 or more") }
    }

    func run() throws {
        let recipe = try Recipe.read(contentsOf: recipe, overrides: overrides)
        let base = try recipe.withChatTemplate(BaseModel.open(recipe.model.path))
        let data = try EncodedData(
            recipe, base: base, vocabularySize: base.vocabularySize, for: .look(records: records))
        if records == nil, try EncodedData.stream(recipe) {
            Terminal.note("the data are large: looked at are the first \(EncodedData.lookLimit) records of each source; --records says how many")
        }
        let report = PreviewReport(data, recipe: recipe, tokenizer: base.tokenizer, examples: examples)
        if json { Terminal.output(report.object) } else { report.print() }
        if let refusal = data.refusal { throw refusal }
    }
}
