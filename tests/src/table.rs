//! A DynamoDB table of a test, with its stream.
use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};

use crate::{Backend, EventSource};

/// One table whose items have the key `id`, a string. As an event source it is its stream.
#[derive(Debug, Clone)]
pub struct Table {
    /// To call it with.
    pub client: aws_sdk_dynamodb::Client,
    /// Its name.
    pub name: String,
    /// The ARN of its stream.
    pub arn: String,
}

impl EventSource for Table {
    fn arn(&self) -> &str {
        &self.arn
    }
}

impl Backend {
    /// A table of its own, whose stream shows new and old images.
    pub async fn table(&self) -> Table {
        self.table_with(StreamViewType::NewAndOldImages).await
    }

    /// A table of its own, whose stream shows this.
    pub async fn table_with(&self, view: StreamViewType) -> Table {
        let name = Self::name("t");
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
        let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
        let create = self.dynamodb.create_table().table_name(&name).key_schema(key);
        let create = create.attribute_definitions(attribute.build().unwrap()).stream_specification(stream(view));
        let created = create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
        let arn = created.table_description.unwrap().latest_stream_arn.unwrap();
        Table { client: self.dynamodb.clone(), name, arn }
    }
}

fn stream(view: StreamViewType) -> StreamSpecification {
    StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build().unwrap()
}

impl Table {
    /// Puts an item with an id and other attributes. One that is there already as it is gives no record.
    pub async fn put(&self, id: &str, attributes: impl IntoIterator<Item = (&str, AttributeValue)>) {
        let mut item: HashMap<String, AttributeValue> =
            attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        item.insert("id".into(), AttributeValue::S(id.into()));
        self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await.unwrap();
    }

    /// Sets one attribute of an item.
    pub async fn update(&self, id: &str, name: &str, value: AttributeValue) {
        let update = self.client.update_item().table_name(&self.name).key("id", AttributeValue::S(id.into()));
        let update = update.update_expression("SET #name = :value").expression_attribute_names("#name", name);
        update.expression_attribute_values(":value", value).send().await.unwrap();
    }

    /// Deletes an item.
    pub async fn delete_item(&self, id: &str) {
        let delete = self.client.delete_item().table_name(&self.name).key("id", AttributeValue::S(id.into()));
        delete.send().await.unwrap();
    }

    /// Ends its stream: what is in it can still be read.
    pub async fn disable_stream(&self) {
        let disabled = StreamSpecification::builder().stream_enabled(false).build().unwrap();
        self.client.update_table().table_name(&self.name).stream_specification(disabled).send().await.unwrap();
    }

    /// Deletes the table.
    pub async fn delete(&self) {
        self.client.delete_table().table_name(&self.name).send().await.unwrap();
    }
}
