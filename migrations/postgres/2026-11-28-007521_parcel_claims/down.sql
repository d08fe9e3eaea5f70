DROP TABLE parcel_claims;
