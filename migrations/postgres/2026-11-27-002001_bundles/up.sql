-- What a bundle is made of: SKUs with their quantities. NULL where the variant is none.
ALTER TABLE variants ADD COLUMN components jsonb;
