-- What is made of a person's words, sealed like them: what the classifier read in them, what the person says
-- that they felt instead, and the tier of the safety gate. Steps from before have none.
ALTER TABLE steps ADD COLUMN emotion text;
ALTER TABLE steps ADD COLUMN correction text;
ALTER TABLE steps ADD COLUMN safety_tier text;
