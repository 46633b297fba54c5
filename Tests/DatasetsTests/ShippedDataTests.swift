import Foundation
import Testing

/// The data sets in `datasets/` are examples that people copy, and the product set is an examination:
/// these tests keep both honest (counts, format, no leak from the held-out questions into the training text).
@Suite struct ShippedDataTests {
    // MARK: Product

    @Test func productCountsAreThoseOfTheReadme() throws {
        let facts = try ShippedData.facts()
        #expect(facts.count == 70)
        #expect(try ShippedData.conversations("product/train.jsonl").count == 295)
        #expect(try ShippedData.conversations("product/validation.jsonl").count == 70)
        #expect(Set(facts.map(\.id)).count == facts.count, "fact ids must be unique")
    }

    @Test func everyFactIsTaughtAtLeastThreeTimesAndAskedOnce() throws {
        let taught = try ShippedData.conversations("product/train.jsonl").filter { $0.questions.count == 1 }
        let validated = try ShippedData.conversations("product/validation.jsonl")
        let facts = try ShippedData.facts()
        let known = Set(facts.map(\.id))
        for fact in facts {
            #expect(taught.filter { $0.facts == [fact.id] }.count >= 3, "phrasings of \(fact.id)")
            #expect(validated.filter { $0.facts == [fact.id] }.count == 1, "validation question of \(fact.id)")
        }
        for record in taught + validated {
            #expect(known.isSuperset(of: record.facts), "unknown fact in \(record.facts)")
        }
    }

    @Test func everyAnswerContainsAnAcceptedStringOfItsFact() throws {
        let accepted = Dictionary(uniqueKeysWithValues: try ShippedData.facts().map { ($0.id, $0.accept) })
        for record in try ShippedData.conversations("product/train.jsonl", "product/validation.jsonl") {
            #expect(record.facts.count == record.answers.count, "one fact for each turn: \(record.facts)")
            for (id, answer) in zip(record.facts, record.answers) {
                let strings = try #require(accepted[id])
                #expect(strings.contains { ShippedData.matches($0, in: answer) }, "\(id): \(answer)")
                #expect(ShippedData.words(answer).count <= 25, "\(id): \(answer)")
            }
        }
    }

    @Test func acceptedStringsTellTheFactsApart() throws {
        let facts = try ShippedData.facts()
        let records = try ShippedData.conversations("product/train.jsonl").filter { $0.facts.count == 1 }
        for fact in facts {
            #expect(!fact.accept.isEmpty)
            for record in records {
                for text in record.facts == [fact.id] ? record.questions : record.answers {
                    #expect(!fact.accept.contains { ShippedData.matches($0, in: text) }, "\(fact.id) in: \(text)")
                }
            }
        }
    }

    @Test func heldOutQuestionsShareNoEightWordsWithTheTrainingText() throws {
        let training = try ShippedData.conversations("product/train.jsonl").flatMap { $0.questions + $0.answers }
        let seen = Set(training.flatMap { ShippedData.grams(of: 8, in: $0) })
        // A question of fewer than eight words has no 8-gram; it must then not stand inside any training text.
        let running = training.map { " " + ShippedData.words($0).joined(separator: " ") + " " }
        for fact in try ShippedData.facts() {
            let shared = ShippedData.grams(of: 8, in: fact.question).filter(seen.contains)
            #expect(shared.isEmpty, "\(fact.id): \(shared)")
            let whole = " " + ShippedData.words(fact.question).joined(separator: " ") + " "
            #expect(!running.contains { $0.contains(whole) }, "\(fact.id) is asked in training")
            #expect(fact.question.contains("Trundo") || fact.question.contains("Wexalo"), "\(fact.id) names no entity")
            #expect(!fact.accept.contains { ShippedData.matches($0, in: fact.question) }, "\(fact.id) answers itself")
        }
    }

    @Test func gramsAreComparedWithoutCaseAndPunctuation() {
        #expect(
            ShippedData.grams(of: 3, in: "What's the “Trundo”, then?") == ["whats the trundo", "the trundo then"])
        #expect(ShippedData.grams(of: 8, in: "Too short for that") == [])
    }

    // MARK: French legal vocabulary

    @Test func frenchSetIsWholeAndWritesItsAccents() throws {
        let train = try ShippedData.conversations("legal-fr/train.jsonl")
        let validation = try ShippedData.conversations("legal-fr/validation.jsonl")
        #expect(train.count == 139)
        #expect(validation.count == 20)
        #expect(Set((train + validation).map(\.term)).count == train.count + validation.count)
        let accents = Set("àâçéèêëîïôùûüœ")
        for record in train + validation {
            for answer in record.answers {
                #expect(answer.lowercased().contains { accents.contains($0) }, "no accent in: \(answer)")
                #expect(ShippedData.words(answer).count >= 20, "hardly an explanation: \(answer)")
                #expect(!answer.contains("\u{FFFD}") && !answer.contains("Ã"), "broken encoding: \(answer)")
            }
        }
    }

    // MARK: General English

    @Test func generalSetHasRunningTextOnly() throws {
        let texts = try ShippedData.records("general/validation.jsonl").map { try #require($0["text"] as? String) }
        #expect(texts.count == 60)
        #expect(Set(texts).count == texts.count)
        for text in texts {
            #expect((40...90).contains(text.split(separator: " ").count), "\(text.prefix(60))…")
            #expect(!text.contains("Trundo") && !text.contains("Wexalo"), "the product must not appear here")
        }
    }

    // MARK: All chat sets

    @Test(arguments: ["product", "legal-fr"])
    func noQuestionIsAskedTwice(_ set: String) throws {
        let train = try ShippedData.conversations("\(set)/train.jsonl").flatMap(\.questions)
        let validation = try ShippedData.conversations("\(set)/validation.jsonl").flatMap(\.questions)
        let heldOut = set == "product" ? try ShippedData.facts().map(\.question) : []
        let all = (train + validation + heldOut).map { ShippedData.words($0).joined(separator: " ") }
        let repeated = Dictionary(grouping: all) { $0 }.filter { $0.value.count > 1 }.keys
        #expect(repeated.isEmpty, "asked more than once: \(repeated.sorted())")
    }

    @Test(arguments: ["product", "legal-fr", "general"])
    func everySetSaysWhereItComesFromAndWhatMayBeDoneWithIt(_ set: String) throws {
        let file = ShippedData.folder.appendingPathComponent("\(set)/README.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        for heading in ["## Origin", "## Licence", "## Format", "## Counts", "## What a base model", "## Use"] {
            #expect(text.contains(heading), "\(set)/README.md lacks “\(heading)”")
        }
    }
}
