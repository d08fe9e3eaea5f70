-- What is asked for of a variant's goods where they come and where they leave: the lot, a serial number of each piece, both.
ALTER TABLE variants ADD COLUMN tracking text COLLATE "C" NOT NULL DEFAULT 'none' CHECK (tracking IN ('none', 'lot', 'serial', 'lot_and_serial'));
