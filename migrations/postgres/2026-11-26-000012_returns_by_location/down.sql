DROP INDEX returns_location;
