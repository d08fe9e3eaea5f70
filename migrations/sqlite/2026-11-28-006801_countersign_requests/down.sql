DROP TABLE countersign_requests;
