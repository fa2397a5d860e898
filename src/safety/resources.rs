pub struct Resource; pub fn resources() {}
