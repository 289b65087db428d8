use super::*;
use serde_json::{Value, json};
use switchboard_catalogue::{ServiceTier, units::PicoUsd};

/// A file of `AmazonBedrock`, in the format of AWS. Rows: SKU, attributes, unit and dollars.
fn bedrock(rows: &[(&str, Value, &str, &str)]) -> File {
    offer("AmazonBedrock", rows)
}

/// A file of `AmazonBedrockFoundationModels`. Rows: SKU, model, usage type and dollars.
fn marketplace(rows: &[(&str, &str, &str, &str)]) -> File {
    let rows: Vec<_> = rows
        .iter()
        .map(|(sku, model, usage_type, usd)| {
            let attributes = json!({
                "servicecode": "AmazonBedrockFoundationModels",
                "servicename": format!("{model} (Amazon Bedrock Edition)"),
                "location": "US East (N. Virginia)",
                "locationType": "AWS Region",
                "regionCode": "us-east-1",
                "usagetype": format!("USE1-MP:USE1_{usage_type}-Units"),
            });
            (*sku, attributes, "Units", *usd)
        })
        .collect();
    offer("AmazonBedrockFoundationModels", &rows)
}

fn nova(usage_type: &str) -> Value {
    json!({
        "servicecode": "AmazonBedrock",
        "regionCode": "us-east-1",
        "provider": "Amazon",
        "model": "Nova 2.0 Lite",
        "feature": "On-demand Inference",
        "usagetype": format!("USE1-Nova2.0Lite-{usage_type}"),
    })
}

fn offer(code: &str, rows: &[(&str, Value, &str, &str)]) -> File {
    let product = |(sku, attributes, ..): &(&str, Value, &str, &str)| {
        let product = json!({ "sku": sku, "productFamily": "Amazon Bedrock", "attributes": attributes });
        ((*sku).to_owned(), product)
    };
    let term = |(sku, _, unit, usd): &(&str, Value, &str, &str)| {
        let dimension = json!({
            "rateCode": format!("{sku}.JRTCKXETXF.6YS6EN2CT7"),
            "unit": unit,
            "beginRange": "0",
            "endRange": "Inf",
            "description": "in words",
            "pricePerUnit": { "USD": usd },
        });
        let term = json!({
            "offerTermCode": "JRTCKXETXF",
            "sku": sku,
            "effectiveDate": "2026-11-01T00:00:00Z",
            "priceDimensions": { format!("{sku}.JRTCKXETXF.6YS6EN2CT7"): dimension },
            "termAttributes": {},
        });
        ((*sku).to_owned(), json!({ format!("{sku}.JRTCKXETXF"): term }))
    };
    let json = json!({
        "formatVersion": "v1.0",
        "disclaimer": "in words",
        "offerCode": code,
        "version": "20261120195433",
        "publicationDate": "2026-11-20T19:54:33Z",
        "products": rows.iter().map(product).collect::<serde_json::Map<_, _>>(),
        "terms": { "OnDemand": rows.iter().map(term).collect::<serde_json::Map<_, _>>() },
    });
    File { name: format!("{code}.json"), json: json.to_string() }
}

fn imported(files: &[File]) -> Imported {
    import(Catalogue::built_in_text(), files, "us-east-1").expect("has prices")
}

fn reason(imported: &Imported, sku: &str) -> String {
    let row = imported.skipped.iter().find(|row| row.sku == sku);
    row.unwrap_or_else(|| panic!("{sku} is not among {:?}", imported.skipped)).reason.clone()
}

fn price(imported: &Imported, id: &str, tier: ServiceTier) -> Price {
    let catalogue = Catalogue::parse(&imported.toml).expect("is a catalogue");
    let resolved = catalogue.resolve(id);
    resolved.facts.price_of(id, tier, 0).unwrap_or_else(|| panic!("{id} has no price")).clone()
}

#[test]
fn claude_models_get_the_prices_of_the_marketplace() {
    let of = |sku, usage_type, usd| (sku, "Claude Haiku 4.5", usage_type, usd);
    let imported = imported(&[marketplace(&[
        of("A", "InputTokenCount", "1.1000000000"),
        of("B", "OutputTokenCount", "5.5000000000"),
        of("C", "CacheReadInputTokenCount", "0.1100000000"),
        of("D", "CacheWriteInputTokenCount", "1.3750000000"),
        of("E", "CacheWrite1hInputTokenCount", "2.2000000000"),
        of("F", "InputTokenCount_Global", "0.9000000000"),
        of("G", "OutputTokenCount_Global", "4.5000000000"),
        of("H", "InputTokenCount_Batch", "0.5500000000"),
    ])]);

    let id = "anthropic.claude-haiku-4-5-20251001-v1:0";
    let us = price(&imported, &format!("us.{id}"), ServiceTier::Default);
    assert_eq!((us.input, us.output), (PicoUsd(1_100_000), PicoUsd(5_500_000)));
    assert_eq!(us.cache_read, Some(PicoUsd(110_000)));
    assert_eq!([us.cache_write_5m, us.cache_write_1h], [Some(PicoUsd(1_375_000)), Some(PicoUsd(2_200_000))]);
    let global = price(&imported, &format!("global.{id}"), ServiceTier::Default);
    assert_eq!(
        (global.input, global.cache_read),
        (PicoUsd(900_000), None),
        "a price that the list lacks is unknown"
    );
    let eu = price(&imported, &format!("eu.{id}"), ServiceTier::Default);
    assert_eq!(eu.cache_read, Some(PicoUsd(110_000)), "prices that the file does not have are kept");
    assert!(reason(&imported, "H").contains("batches"));
    assert_eq!((imported.models, imported.rows, imported.skipped.len()), (1, 7, 1));
}

#[test]
fn imports_both_formats_and_both_offers() {
    let of = |sku, usage_type, usd| (sku, "Claude Opus 4.8", usage_type, usd);
    let imported = imported(&[
        marketplace(&[
            of("A", "input_tokens_global_standard", "5.0000000000"),
            of("B", "output_tokens_global_standard", "25.0000000000"),
            of("C", "cache_write_tokens_1h_global_standard", "10.0000000000"),
        ]),
        bedrock(&[
            ("D", nova("input-tokens"), "1K tokens", "0.0003300000"),
            ("E", nova("output-tokens"), "1K tokens", "0.0027500000"),
            ("F", nova("input-tokens-cross-region-global"), "1K tokens", "0.0003000000"),
            ("G", nova("output-tokens-cross-region-global"), "1K tokens", "0.0025000000"),
            ("H", nova("cache-read-input-token-count"), "1K tokens", "0.0000825000"),
            ("I", nova("cache-write-input-token-count"), "1K tokens", "0.0000000000"),
            ("J", nova("input-tokens-flex"), "1K tokens", "0.0001650000"),
            ("K", nova("output-tokens-flex"), "1M tokens", "1.3750000000"),
        ]),
    ]);

    let opus = price(&imported, "global.anthropic.claude-opus-4-8", ServiceTier::Default);
    assert_eq!((opus.input, opus.cache_write_1h), (PicoUsd(5_000_000), Some(PicoUsd(10_000_000))));
    let nova = price(&imported, "us.amazon.nova-2-lite-v1:0", ServiceTier::Default);
    assert_eq!((nova.input, nova.cache_read), (PicoUsd(330_000), Some(PicoUsd(82_500))));
    assert_eq!(nova.cache_write_5m, Some(PicoUsd(0)), "a price of zero that the list names is a price");
    let flex = price(&imported, "us.amazon.nova-2-lite-v1:0", ServiceTier::Flex);
    assert_eq!((flex.input, flex.output), (PicoUsd(165_000), PicoUsd(1_375_000)));
    assert_eq!((imported.models, imported.rows, imported.skipped.as_slice()), (2, 11, &[][..]));
    assert!(imported.toml.contains("AmazonBedrockFoundationModels of 2026-11-20"), "{}", imported.toml);
    assert!(imported.toml.contains("as_of = \"2026-11-20\""), "{}", imported.toml);
}

#[test]
fn every_row_is_imported_or_skipped_with_a_reason() {
    let with = |name: &str, value: Value| {
        let mut attributes = nova("input-tokens");
        attributes[name] = value;
        attributes
    };
    let imported = imported(&[bedrock(&[
        ("A", nova("input-tokens"), "1K tokens", "0.00033"),
        ("B", nova("output-tokens"), "1K tokens", "0.00275"),
        ("C", with("model", json!("Nova 9 Huge")), "1K tokens", "0.001"),
        ("D", with("feature", json!("Provisioned Throughput")), "1K tokens", "0.001"),
        ("E", with("usagetype", json!("USE1-Nova2.0Lite-input-tokens-tomorrow")), "1K tokens", "0.001"),
        ("F", nova("input-tokens-priority"), "hour", "0.001"),
        ("G", nova("input-tokens-flex"), "1K tokens", "0.0001"),
        ("H", nova("input-tokens-cross-region-ca"), "1K tokens", "0.0001"),
        ("I", nova("input-tokens"), "1K tokens", "0.0000000001"),
        ("J", with("regionCode", Value::Null), "1K tokens", "0.001"),
        ("K", with("regionCode", json!("eu-west-1")), "1K tokens", "0.001"),
        ("L", nova("input-tokens-long-context"), "1K tokens", "0.001"),
    ])]);

    for (sku, expected) in [
        ("C", "the catalogue has no model named \"Nova 9 Huge\""),
        ("D", "it is for \"Provisioned Throughput\""),
        ("E", "\"tomorrow\" is not known"),
        ("F", "its unit is \"hour\""),
        ("G", "there is no price of output tokens"),
        ("H", "in the geography \"ca\""),
        ("I", "not a whole number of picodollars"),
        ("J", "it has no region"),
        ("L", "does not state above how many input tokens"),
    ] {
        assert!(reason(&imported, sku).contains(expected), "{sku}: {}", reason(&imported, sku));
    }
    assert_eq!((imported.rows, imported.skipped.len(), imported.other_regions), (2, 9, 1));
}

#[test]
fn contradicting_rows_are_not_imported() {
    let global = "input-tokens-cross-region-global";
    let imported = imported(&[bedrock(&[
        ("A", nova("input-tokens"), "1K tokens", "0.00033"),
        ("B", nova("output-tokens"), "1K tokens", "0.00275"),
        ("C", nova("cache-read-input-token-count"), "1K tokens", "0.0001"),
        ("D", nova("cache-read-input-token-count"), "1K tokens", "0.0002"),
        ("E", nova(global), "1K tokens", "0.0003"),
    ])]);
    assert_eq!(price(&imported, "us.amazon.nova-2-lite-v1:0", ServiceTier::Default).cache_read, None);
    for sku in ["C", "D"] {
        assert_eq!(reason(&imported, sku), "these contradict each other: C, D");
    }
}

#[test]
fn a_price_of_the_geography_takes_precedence_over_the_regions() {
    let imported = imported(&[bedrock(&[
        ("A", nova("input-tokens"), "1K tokens", "0.0003"),
        ("B", nova("output-tokens"), "1K tokens", "0.0025"),
        ("C", nova("input-tokens-cross-region"), "1K tokens", "0.00033"),
        ("D", nova("output-tokens-cross-region-us"), "1K tokens", "0.00275"),
    ])]);
    let bare = price(&imported, "amazon.nova-2-lite-v1:0", ServiceTier::Default);
    let us = price(&imported, "us.amazon.nova-2-lite-v1:0", ServiceTier::Default);
    assert_eq!((bare.input, us.input), (PicoUsd(300_000), PicoUsd(330_000)));
    assert_eq!((bare.output, us.output), (PicoUsd(2_500_000), PicoUsd(2_750_000)));
    assert_eq!(imported.skipped, []);
}

#[test]
fn imports_long_context_prices() {
    let of = |sku, usage_type, usd| (sku, "Claude Sonnet 4.5", usage_type, usd);
    let imported = imported(&[marketplace(&[
        of("A", "InputTokenCount_LCtx_Global", "6.5"),
        of("B", "OutputTokenCount_LCtx_Global", "23"),
    ])]);
    let id = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let catalogue = Catalogue::parse(&imported.toml).expect("is a catalogue");
    let price = |tokens| catalogue.resolve(id).facts.price_of(id, ServiceTier::Default, tokens).cloned();
    assert_eq!(price(200_001).map(|price| price.input), Some(PicoUsd(6_500_000)));
    assert_eq!(price(200_000).map(|price| price.input), Some(PicoUsd(3_000_000)));
}

#[test]
fn refuses_files_that_are_not_price_lists() {
    let import = |file: File| import(Catalogue::built_in_text(), &[file], "us-east-1");
    let named = |json: &str| File { name: "x.json".to_owned(), json: json.to_owned() };
    for json in ["", "{}", "[]", r#"{"offerCode":"AmazonBedrock"}"#] {
        let problem = import(named(json)).expect_err(json).to_string();
        assert!(problem.starts_with("x.json is not an AWS price list"), "{problem}");
    }
    let other = import(offer("AmazonEC2", &[])).expect_err("is another offer").to_string();
    assert!(other.contains("its offer is \"AmazonEC2\""), "{other}");
    let nothing = import(bedrock(&[])).expect_err("is empty").to_string();
    assert!(nothing.starts_with("no price was found for region us-east-1"), "{nothing}");
}

#[test]
fn every_built_in_model_with_a_price_has_a_name_in_the_price_list() {
    let catalogue = Catalogue::built_in();
    let mut names: Vec<_> = catalogue.models().flat_map(|facts| &facts.price_list).collect();
    for facts in catalogue.models().filter(|facts| !facts.prices.is_empty()) {
        assert!(!facts.price_list.is_empty(), "{}", facts.id);
    }
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "two models share a name");
}
